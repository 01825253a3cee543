package text;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The JDK's own client, which offers to go on in HTTP/2 by itself; the events of a stream are read by hand. */
public class JavaNet {
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  public static void main(String[] arguments) throws Exception {
    URI uri = URI.create(arguments[0] + "/v1/chat/completions");
    boolean stream = arguments[2].equals("stream");
    Ask.each(
        (question, tokens) -> {
          var messages = List.of(Map.of("role", "user", "content", question));
          var body = Map.of("model", arguments[1], "messages", messages, "max_tokens", tokens, "temperature", 0, "stream", stream);
          var request =
              HttpRequest.newBuilder(uri)
                  .header("Content-Type", "application/json")
                  .POST(HttpRequest.BodyPublishers.ofByteArray(Ask.JSON.writeValueAsBytes(body)))
                  .build();
          return stream ? stream(request) : whole(request);
        });
  }

  private static Ask.Answer whole(HttpRequest request) throws Exception {
    JsonNode answer = Ask.JSON.readTree(CLIENT.send(request, BodyHandlers.ofByteArray()).body());
    JsonNode usage = answer.get("usage");
    String text = answer.get("choices").get(0).get("message").get("content").asText();
    return new Ask.Answer(
        List.of(text), List.of(usage.get("prompt_tokens").asLong(), usage.get("completion_tokens").asLong()));
  }

  private static Ask.Answer stream(HttpRequest request) throws Exception {
    List<String> pieces = new ArrayList<>();
    boolean done = false;
    try (Stream<String> lines = CLIENT.send(request, BodyHandlers.ofLines()).body()) {
      for (String line : (Iterable<String>) lines::iterator) {
        if (line.isEmpty()) continue;
        if (!line.startsWith("data: ") || done) throw new IllegalStateException("what is this? " + line);
        String data = line.substring("data: ".length());
        done = data.equals("[DONE]");
        if (!done) pieces.add(Ask.JSON.readTree(data).at("/choices/0/delta/content").asText());
      }
    }
    if (!done) throw new IllegalStateException("the stream ended without [DONE]");
    return new Ask.Answer(pieces, null);
  }
}
