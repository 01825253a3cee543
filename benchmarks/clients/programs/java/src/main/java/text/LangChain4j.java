package text;

import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

public class LangChain4j {
  public static void main(String[] arguments) throws Exception {
    String url = arguments[0] + "/v1";
    String model = arguments[1];
    switch (arguments[2]) {
      case "whole" -> Ask.each((question, tokens) -> whole(chat(url, model, tokens).chat(UserMessage.from(question))));
      case "stream" -> Ask.each((question, tokens) -> stream(url, model, question, tokens));
      default -> Ask.inTurns((first, second, tokens) -> turns(chat(url, model, tokens), first, second));
    }
  }

  private static OpenAiChatModel chat(String url, String model, int tokens) {
    var builder = OpenAiChatModel.builder().baseUrl(url).apiKey("none").modelName(model);
    return builder.temperature(0.0).maxTokens(tokens).build();
  }

  private static Ask.Answer turns(OpenAiChatModel chat, String first, String second) {
    UserMessage question = UserMessage.from(first);
    return whole(chat.chat(question, chat.chat(question).aiMessage(), UserMessage.from(second)));
  }

  private static Ask.Answer whole(ChatResponse answer) {
    return new Ask.Answer(List.of(answer.aiMessage().text()), counts(answer));
  }

  private static Ask.Answer stream(String url, String model, String question, int tokens) throws Exception {
    var chat =
        OpenAiStreamingChatModel.builder()
            .baseUrl(url)
            .apiKey("none")
            .modelName(model)
            .temperature(0.0)
            .maxTokens(tokens)
            .build();
    List<String> pieces = new ArrayList<>();
    CompletableFuture<ChatResponse> end = new CompletableFuture<>();
    chat.chat(
        question,
        new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(String piece) {
            pieces.add(piece);
          }

          @Override
          public void onCompleteResponse(ChatResponse answer) {
            end.complete(answer);
          }

          @Override
          public void onError(Throwable error) {
            end.completeExceptionally(error);
          }
        });
    ChatResponse answer = end.get();
    if (!answer.aiMessage().text().equals(String.join("", pieces)))
      throw new IllegalStateException("the whole answer is not its pieces");
    return new Ask.Answer(pieces, counts(answer));
  }

  private static List<Long> counts(ChatResponse answer) {
    var usage = answer.tokenUsage();
    if (usage == null || usage.inputTokenCount() == null) return null;
    return List.of(usage.inputTokenCount().longValue(), usage.outputTokenCount().longValue());
  }
}
