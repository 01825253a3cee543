import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;

/** The JDK's own client, which offers to go on in HTTP/2 by itself; it prints the answer as it came. */
public class JavaNet {
  public static void main(String[] arguments) throws Exception {
    String texts = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    String body = "{\"model\": \"" + arguments[1] + "\", \"input\": " + texts + "}";
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/embeddings"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
    HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    System.out.println(answer.body());
  }
}
