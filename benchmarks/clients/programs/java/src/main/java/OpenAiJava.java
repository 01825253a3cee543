import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.models.embeddings.EmbeddingCreateParams;
import java.nio.charset.StandardCharsets;
import java.util.List;

public class OpenAiJava {
  public static void main(String[] arguments) throws Exception {
    String line = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    List<String> texts = new com.fasterxml.jackson.databind.ObjectMapper().readValue(line, List.class);
    var client = OpenAIOkHttpClient.builder().baseUrl(arguments[0] + "/v1").apiKey("none").build();
    var answer =
        client.embeddings().create(EmbeddingCreateParams.builder().model(arguments[1]).inputOfArrayOfStrings(texts).build());
    System.out.println(answer.data().stream().map(entry -> entry.embedding().toString()).toList());
    System.exit(0);
  }
}
