// What ../README.md asks for, with the official Java SDK: legacy only.
import io.modelcontextprotocol.json.McpJsonDefaults;
import io.modelcontextprotocol.server.McpServer;
import io.modelcontextprotocol.server.McpServer.SyncSpecification;
import io.modelcontextprotocol.server.McpServerFeatures.SyncCompletionSpecification;
import io.modelcontextprotocol.server.McpServerFeatures.SyncPromptSpecification;
import io.modelcontextprotocol.server.McpServerFeatures.SyncResourceSpecification;
import io.modelcontextprotocol.server.McpServerFeatures.SyncResourceTemplateSpecification;
import io.modelcontextprotocol.server.McpSyncServerExchange;
import io.modelcontextprotocol.server.transport.HttpServletStreamableServerTransportProvider;
import io.modelcontextprotocol.server.transport.StdioServerTransportProvider;
import io.modelcontextprotocol.spec.McpSchema.*;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.ServerConnector;

class Server {
  private static String prefix;
  private static Path marks;

  private static Map<String, Object> schema(Map<String, Object> properties) {
    return Map.of("type", "object", "properties", properties);
  }

  private static final Map<String, Object> STRING = Map.of("type", "string");
  private static final Map<String, Object> NUMBER = Map.of("type", "number");

  private static Tool.Builder tool(String name, Map<String, Object> properties) {
    return new Tool.Builder().name(name).description("Does what its name says.").inputSchema(schema(properties));
  }

  private static CallToolResult text(String value) {
    return new CallToolResult.Builder().addTextContent(value).build();
  }

  private static String json(Object value) {
    try {
      return McpJsonDefaults.getMapper().writeValueAsString(value);
    } catch (IOException error) {
      throw new RuntimeException(error);
    }
  }

  private static double number(CallToolRequest request, String name) {
    return ((Number) request.arguments().get(name)).doubleValue();
  }

  private static void progress(McpSyncServerExchange exchange, CallToolRequest request, double step, double total) {
    var token = request.meta() == null ? null : request.meta().get("progressToken");
    if (token != null) exchange.progressNotification(new ProgressNotification(token, step, total, null));
  }

  private static void pause(double ms) {
    try {
      Thread.sleep((long) ms);
    } catch (InterruptedException error) {
      throw new RuntimeException(error);
    }
  }

  private static CallToolResult slow(McpSyncServerExchange exchange, CallToolRequest request) {
    int steps = (int) number(request, "steps");
    for (int step = 1; step <= steps; step++) {
      progress(exchange, request, step, steps);
      pause(number(request, "ms") / steps);
    }
    return text("done after " + steps + " steps");
  }

  /** The SDK tells no tool that its call was cancelled, but interrupts it when the session ends. */
  private static CallToolResult waitForCancel(McpSyncServerExchange exchange, CallToolRequest request) {
    progress(exchange, request, 1, 2);
    pause(60_000);
    return text("not cancelled");
  }

  private static CallToolResult wasCancelled(McpSyncServerExchange exchange, CallToolRequest request) {
    for (int tries = 0; tries < 3_000 && !Files.exists(marks.resolve(label(request))); tries++) pause(20);
    return text("cancelled");
  }

  private static String label(CallToolRequest request) {
    return (String) request.arguments().get("label");
  }

  private static CallToolResult logLines(McpSyncServerExchange exchange, CallToolRequest request) {
    for (var level : LoggingLevel.values()) {
      var data = label(request) + " " + level.name().toLowerCase();
      exchange.loggingNotification(LoggingMessageNotification.builder(level, data).build());
    }
    return text("logged");
  }

  private static Object askForm(McpSyncServerExchange exchange, String label) {
    return exchange.createElicitation(ElicitRequest.builder(label, schema(Map.of("color", STRING))).build());
  }

  private static Object askSampling(McpSyncServerExchange exchange, String label) {
    var messages = List.of(new SamplingMessage(Role.USER, new TextContent(label)));
    return exchange.createMessage(new CreateMessageRequest.Builder().messages(messages).maxTokens(10).build());
  }

  private static void addTools(SyncSpecification<?> to) {
    Map<String, Object> label = Map.of("label", STRING);
    var readOnly = new ToolAnnotations(null, true, null, null, null, null);
    to.toolCall(tool("echo", Map.of("text", STRING)).annotations(readOnly).build(),
        (exchange, request) -> text((String) request.arguments().get("text")));
    var sum = tool("add", Map.of("a", NUMBER, "b", NUMBER)).outputSchema(schema(Map.of("sum", NUMBER))).build();
    to.toolCall(sum, (exchange, request) -> {
      Map<String, Object> found = Map.of("sum", number(request, "a") + number(request, "b"));
      return new CallToolResult.Builder().structuredContent(found).addTextContent(json(found)).build();
    });
    to.toolCall(tool("fail", Map.of()).build(), (exchange, request) ->
        new CallToolResult.Builder().addTextContent("failed as asked").isError(true).build());
    to.toolCall(tool("slow", Map.of("ms", NUMBER, "steps", NUMBER)).build(), Server::slow);
    to.toolCall(tool("wait_for_cancel", label).build(), Server::waitForCancel);
    to.toolCall(tool("was_cancelled", label).build(), Server::wasCancelled);
    to.toolCall(tool("log_lines", label).build(), Server::logLines);
    to.toolCall(tool("ask_form", label).build(), (exchange, request) -> text(json(askForm(exchange, label(request)))));
    to.toolCall(tool("ask_sampling", label).build(),
        (exchange, request) -> text(json(askSampling(exchange, label(request)))));
    to.toolCall(tool("ask_roots", label).build(), (exchange, request) -> text(json(exchange.listRoots())));
  }

  private static ReadResourceResult contents(ResourceContents contents) {
    return new ReadResourceResult(List.of(contents));
  }

  private static void addResources(SyncSpecification<?> to) {
    byte[] bytes = new byte[256];
    for (int index = 0; index < 256; index++) bytes[index] = (byte) index;
    var text = new Resource.Builder().uri(prefix + "text").name("text").build();
    to.resources(new SyncResourceSpecification(text, (exchange, request) ->
        contents(new TextResourceContents(request.uri(), "text/plain", "a text"))));
    var blob = new Resource.Builder().uri(prefix + "bytes").name("bytes").build();
    to.resources(new SyncResourceSpecification(blob, (exchange, request) -> contents(
        new BlobResourceContents(request.uri(), "application/octet-stream", Base64.getEncoder().encodeToString(bytes)))));
    var item = ResourceTemplate.builder(prefix + "item/{id}", "item").build();
    to.resourceTemplates(new SyncResourceTemplateSpecification(item, (exchange, request) -> contents(new TextResourceContents(
        request.uri(), "text/plain", "item " + request.uri().substring((prefix + "item/").length())))));
  }

  private static GetPromptResult said(String value) {
    return new GetPromptResult(null, List.of(new PromptMessage(Role.USER, new TextContent(value))));
  }

  private static void addPrompts(SyncSpecification<?> to) {
    var plain = new Prompt("plain", null, List.of());
    var greet = new Prompt("greet", null,
        List.of(new PromptArgument("who", null, true), new PromptArgument("language", null, false)));
    to.prompts(new SyncPromptSpecification(plain, (exchange, request) -> said("Say something.")),
        new SyncPromptSpecification(greet, (exchange, request) ->
            said("Greet " + request.arguments().get("who") + " in " + request.arguments().get("language") + ".")));
  }

  private static SyncCompletionSpecification completion(CompleteReference of, Function<CompleteRequest, String[]> values) {
    return new SyncCompletionSpecification(of, (exchange, request) -> {
      var begun = request.argument().value();
      var found = Arrays.stream(values.apply(request)).filter(value -> value.startsWith(begun)).toList();
      return new CompleteResult(new CompleteResult.CompleteCompletion(found));
    });
  }

  private static void addCompletions(SyncSpecification<?> to) {
    to.completions(
        completion(new PromptReference("greet"), request -> {
          var known = request.context() == null ? null : request.context().arguments();
          boolean one = known != null && "Ants".equals(known.get("who"));
          return one ? new String[] {"estonian"} : new String[] {"english", "estonian", "french", "german"};
        }),
        completion(new ResourceReference(prefix + "item/{id}"), request -> new String[] {"1", "2", "10"}));
  }

  private static void serve(SyncSpecification<?> specification) {
    var capabilities = new ServerCapabilities.Builder()
        .tools(true).resources(false, true).prompts(true).completions().logging().build();
    specification.serverInfo("java", "1.0.0").capabilities(capabilities);
    addTools(specification);
    addResources(specification);
    addPrompts(specification);
    addCompletions(specification);
    specification.build();
  }

  private static String flag(List<String> given, String name) {
    return given.get(given.indexOf(name) + 1);
  }

  public static void main(String[] arguments) throws Exception {
    var given = List.of(arguments);
    prefix = flag(given, "--scheme") + "://";
    marks = Path.of(flag(given, "--marks"));
    var mapper = McpJsonDefaults.getMapper();
    if (flag(given, "--transport").equals("stdio")) {
      serve(McpServer.sync(new StdioServerTransportProvider(mapper)));
      return;
    }
    var servlet = new HttpServletStreamableServerTransportProvider.Builder().jsonMapper(mapper).mcpEndpoint("/mcp").build();
    serve(McpServer.sync(servlet));
    var jetty = new org.eclipse.jetty.server.Server();
    var connector = new ServerConnector(jetty);
    connector.setHost("127.0.0.1");
    jetty.addConnector(connector);
    var context = new ServletContextHandler();
    var holder = new ServletHolder(servlet);
    holder.setAsyncSupported(true);
    context.addServlet(holder, "/*");
    jetty.setHandler(context);
    jetty.start();
    System.out.println("listening http://127.0.0.1:" + connector.getLocalPort() + "/mcp");
  }
}
