import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.concurrent.CompletableFuture;

/** The JDK's client as it is: arguments are triples HOW URL BODY; prints "STATUS BODY" of each answer. */
public class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int at = 0; at < arguments.length; at += 3) {
            print(client.send(request(arguments, at), BodyHandlers.ofString()));
        }
        // All at once, on connections of their own.
        HttpClient another = HttpClient.newHttpClient();
        var answers = new ArrayList<CompletableFuture<HttpResponse<String>>>();
        for (int at = 0; at < arguments.length; at += 3) {
            answers.add(another.sendAsync(request(arguments, at), BodyHandlers.ofString()));
        }
        for (var answer : answers) {
            print(answer.get());
        }
    }

    private static void print(HttpResponse<String> answer) {
        System.out.println(answer.statusCode() + " " + answer.body().strip());
    }

    private static HttpRequest request(String[] arguments, int at) {
        byte[] body = arguments[at + 2].getBytes(StandardCharsets.UTF_8);
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(arguments[at + 1])).timeout(Duration.ofSeconds(30));
        BodyPublisher whole = BodyPublishers.ofByteArray(body);
        return switch (arguments[at]) {
            case "get" -> builder.GET().build();
            case "post" -> builder.POST(whole).build();
            case "chunked" -> builder.POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body))).build();
            case "expect" -> builder.expectContinue(true).POST(whole).build();
            default -> throw new IllegalArgumentException(arguments[at]);
        };
    }
}
