import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import java.nio.charset.StandardCharsets;
import java.util.List;

public class LangChain4j {
  public static void main(String[] arguments) throws Exception {
    String line = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    List<String> texts = new com.fasterxml.jackson.databind.ObjectMapper().readValue(line, List.class);
    var model = OpenAiEmbeddingModel.builder().baseUrl(arguments[0] + "/v1").apiKey("none").modelName(arguments[1]).build();
    var answer = model.embedAll(texts.stream().map(TextSegment::from).toList());
    System.out.println(answer.content().stream().map(entry -> entry.vectorAsList().toString()).toList());
    System.exit(0);
  }
}
