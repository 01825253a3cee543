package text;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.completions.CompletionCreateParams;
import java.util.ArrayList;
import java.util.List;

public class OpenAiJava {
  public static void main(String[] arguments) throws Exception {
    OpenAIClient client = OpenAIOkHttpClient.builder().baseUrl(arguments[0] + "/v1").apiKey("none").build();
    String model = arguments[1];
    switch (arguments[2]) {
      case "whole" -> Ask.each((question, tokens) -> whole(client, chat(model, question, tokens).build()));
      case "stream" -> Ask.each((question, tokens) -> stream(client, chat(model, question, tokens).build()));
      case "completions" -> Ask.each((question, tokens) -> completion(client, model, question, tokens));
      default -> Ask.inTurns((first, second, tokens) -> turns(client, chat(model, first, tokens), second));
    }
  }

  private static ChatCompletionCreateParams.Builder chat(String model, String question, int tokens) {
    var builder = ChatCompletionCreateParams.builder().model(model).maxCompletionTokens(tokens).temperature(0);
    return builder.addUserMessage(question);
  }

  private static Ask.Answer turns(OpenAIClient client, ChatCompletionCreateParams.Builder chat, String second) {
    var answer = client.chat().completions().create(chat.build());
    return whole(client, chat.addMessage(answer.choices().get(0).message()).addUserMessage(second).build());
  }

  private static Ask.Answer whole(OpenAIClient client, ChatCompletionCreateParams chat) {
    var answer = client.chat().completions().create(chat);
    var usage = answer.usage().orElseThrow();
    String text = answer.choices().get(0).message().content().orElseThrow();
    return new Ask.Answer(List.of(text), List.of(usage.promptTokens(), usage.completionTokens()));
  }

  private static Ask.Answer stream(OpenAIClient client, ChatCompletionCreateParams chat) {
    List<String> pieces = new ArrayList<>();
    try (var chunks = client.chat().completions().createStreaming(chat)) {
      chunks.stream().forEach(chunk -> pieces.add(chunk.choices().get(0).delta().content().orElse("")));
    }
    return new Ask.Answer(pieces, null);
  }

  private static Ask.Answer completion(OpenAIClient client, String model, String prompt, int tokens) {
    var params = CompletionCreateParams.builder().model(model).prompt(prompt).maxTokens(tokens).temperature(0).build();
    var answer = client.completions().create(params);
    var usage = answer.usage().orElseThrow();
    return new Ask.Answer(
        List.of(answer.choices().get(0).text()), List.of(usage.promptTokens(), usage.completionTokens()));
  }
}
