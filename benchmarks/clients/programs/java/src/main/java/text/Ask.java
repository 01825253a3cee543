package text;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What each program is asked, and how it prints what came: the pieces of each answer, and the counts of tokens or null. */
final class Ask {
  static final ObjectMapper JSON = new ObjectMapper();

  record Answer(List<String> pieces, List<Long> usage) {}

  interface Way {
    Answer answer(String question, int tokens) throws Exception;
  }

  interface Turns {
    Answer answer(String first, String second, int tokens) throws Exception;
  }

  static void each(Way way) throws Exception {
    JsonNode asked = JSON.readTree(System.in);
    List<Answer> answers = new ArrayList<>();
    for (JsonNode question : asked.get("questions")) answers.add(way.answer(question.asText(), asked.get("tokens").asInt()));
    print(answers);
  }

  static void inTurns(Turns turns) throws Exception {
    JsonNode asked = JSON.readTree(System.in);
    JsonNode questions = asked.get("questions");
    print(List.of(turns.answer(questions.get(0).asText(), questions.get(1).asText(), asked.get("tokens").asInt())));
  }

  private static void print(List<Answer> answers) throws Exception {
    List<Map<String, Object>> entries = new ArrayList<>();
    for (Answer answer : answers) {
      Map<String, Object> entry = new HashMap<>();
      entry.put("pieces", answer.pieces());
      entry.put("usage", answer.usage());
      entries.add(entry);
    }
    System.out.write(JSON.writeValueAsBytes(entries)); // in UTF-8, whatever the locale
    System.out.flush();
    System.exit(0);
  }

  private Ask() {}
}
