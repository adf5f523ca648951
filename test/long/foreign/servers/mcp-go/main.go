// What ../README.md asks for, with mcp-go: a question is a result, which mcp-go asks live of legacy clients.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

var (
	transport = flag.String("transport", "stdio", "stdio or http")
	scheme    = flag.String("scheme", "", "of the resources")
	marks     = flag.String("marks", "", "the folder of marks")
)

type sum struct {
	Sum float64 `json:"sum"`
}

// pause stands behind every notification: mcp-go sends them from other goroutines, on one stream or another. Some come after the answer, and over
// HTTP some not at all.
func pause() { time.Sleep(20 * time.Millisecond) }

func progress(ctx context.Context, req mcp.CallToolRequest, step, total float64) {
	if req.Params.Meta == nil || req.Params.Meta.ProgressToken == nil {
		return
	}
	params := map[string]any{"progressToken": req.Params.Meta.ProgressToken, "progress": step, "total": total}
	server.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress", params)
	pause()
}

func echo(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(req.GetString("text", "")), nil
}

func add(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultStructuredOnly(sum{Sum: req.GetFloat("a", 0) + req.GetFloat("b", 0)}), nil
}

func fail(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultError("failed as asked"), nil
}

func slow(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	steps := req.GetInt("steps", 1)
	for step := 1; step <= steps; step++ {
		progress(ctx, req, float64(step), float64(steps))
		time.Sleep(time.Duration(req.GetFloat("ms", 0) / float64(steps) * float64(time.Millisecond)))
	}
	return mcp.NewToolResultText(fmt.Sprintf("done after %d steps", steps)), nil
}

func waitForCancel(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	progress(ctx, req, 1, 2)
	<-ctx.Done()
	os.WriteFile(filepath.Join(*marks, req.GetString("label", "")), nil, 0o600)
	return nil, errors.New("cancelled")
}

func wasCancelled(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	for ctx.Err() == nil {
		if _, err := os.Stat(filepath.Join(*marks, req.GetString("label", ""))); err == nil {
			return mcp.NewToolResultText("cancelled"), nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, ctx.Err()
}

func logLines(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	for _, level := range strings.Fields("debug info notice warning error critical alert emergency") {
		line := mcp.NewLoggingMessageNotification(mcp.LoggingLevel(level), "", req.GetString("label", "")+" "+level)
		server.ServerFromContext(ctx).SendLogMessageToClient(ctx, line)
		pause()
	}
	return mcp.NewToolResultText("logged"), nil
}

const answer = "answer"

// given is the answer as JSON, or the question where there is no answer so far.
func given[T any](found *T, question *server.InputRequestBuilder) (*mcp.CallToolResult, error) {
	if found == nil {
		return question.ToolResult(), nil
	}
	data, err := json.Marshal(found)
	return mcp.NewToolResultText(string(data)), err
}

func askForm(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	color := map[string]any{"type": "object", "properties": map[string]any{"color": map[string]any{"type": "string"}}}
	params := mcp.ElicitationParams{Mode: mcp.ElicitationModeForm, Message: req.GetString("label", ""), RequestedSchema: color}
	found := server.ElicitationResponse(req.Params.InputResponses, answer)
	return given(found, server.NewInputRequestBuilder("").Elicit(answer, params))
}

func askSampling(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	message := mcp.SamplingMessage{Role: mcp.RoleUser, Content: mcp.NewTextContent(req.GetString("label", ""))}
	params := mcp.CreateMessageParams{Messages: []mcp.SamplingMessage{message}, MaxTokens: 10}
	found := server.SamplingResponse(req.Params.InputResponses, answer)
	return given(found, server.NewInputRequestBuilder("").Sample(answer, params))
}

func askRoots(_ context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	found := server.RootsResponse(req.Params.InputResponses, answer)
	return given(found, server.NewInputRequestBuilder("").Roots(answer))
}

func addTools(to *server.MCPServer) {
	label := mcp.WithString("label", mcp.Required())
	to.AddTool(mcp.NewTool("echo", mcp.WithString("text", mcp.Required()), mcp.WithReadOnlyHintAnnotation(true)), echo)
	to.AddTool(mcp.NewTool("add", mcp.WithNumber("a", mcp.Required()), mcp.WithNumber("b", mcp.Required()),
		mcp.WithOutputSchema[sum]()), add)
	to.AddTool(mcp.NewTool("fail"), fail)
	to.AddTool(mcp.NewTool("slow", mcp.WithNumber("ms"), mcp.WithNumber("steps")), slow)
	to.AddTool(mcp.NewTool("wait_for_cancel", label), waitForCancel)
	to.AddTool(mcp.NewTool("was_cancelled", label), wasCancelled)
	to.AddTool(mcp.NewTool("log_lines", label), logLines)
	to.AddTool(mcp.NewTool("ask_form", label), askForm)
	to.AddTool(mcp.NewTool("ask_sampling", label), askSampling)
	to.AddTool(mcp.NewTool("ask_roots", label), askRoots)
}

func addResources(to *server.MCPServer) {
	prefix := *scheme + "://"
	bytes := make([]byte, 256)
	for index := range bytes {
		bytes[index] = byte(index)
	}
	text := func(_ context.Context, req mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		said := "a text"
		if id, ok := strings.CutPrefix(req.Params.URI, prefix+"item/"); ok {
			said = "item " + id
		}
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: req.Params.URI, MIMEType: "text/plain", Text: said}}, nil
	}
	blob := func(_ context.Context, req mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		contents := mcp.BlobResourceContents{URI: req.Params.URI, Blob: base64.StdEncoding.EncodeToString(bytes)}
		return []mcp.ResourceContents{contents}, nil
	}
	to.AddResource(mcp.NewResource(prefix+"text", "text"), text)
	to.AddResource(mcp.NewResource(prefix+"bytes", "bytes"), blob)
	to.AddResourceTemplate(mcp.NewResourceTemplate(prefix+"item/{id}", "item"), text)
}

func addPrompts(to *server.MCPServer) {
	said := func(value string) *mcp.GetPromptResult {
		message := mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(value))
		return mcp.NewGetPromptResult("", []mcp.PromptMessage{message})
	}
	to.AddPrompt(mcp.NewPrompt("plain"), func(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return said("Say something."), nil
	})
	greet := mcp.NewPrompt("greet", mcp.WithArgument("who", mcp.RequiredArgument()), mcp.WithArgument("language"))
	to.AddPrompt(greet, func(_ context.Context, req mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return said(fmt.Sprintf("Greet %s in %s.", req.Params.Arguments["who"], req.Params.Arguments["language"])), nil
	})
}

type completions struct{}

func startingWith(value string, candidates ...string) *mcp.Completion {
	values := []string{}
	for _, candidate := range candidates {
		if strings.HasPrefix(candidate, value) {
			values = append(values, candidate)
		}
	}
	return &mcp.Completion{Values: values}
}

func (completions) CompletePromptArgument(_ context.Context, _ string, argument mcp.CompleteArgument, known mcp.CompleteContext) (*mcp.Completion, error) {
	if known.Arguments["who"] == "Ants" {
		return startingWith(argument.Value, "estonian"), nil
	}
	return startingWith(argument.Value, "english", "estonian", "french", "german"), nil
}

func (completions) CompleteResourceArgument(_ context.Context, _ string, argument mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	return startingWith(argument.Value, "1", "2", "10"), nil
}

func main() {
	flag.Parse()
	offered := server.NewMCPServer("mcp-go", "1.0.0",
		server.WithResourceCapabilities(true, true), server.WithPromptCapabilities(true), server.WithToolCapabilities(true),
		server.WithLogging(), server.WithElicitation(), server.WithRoots(), server.WithCompletions(),
		server.WithPromptCompletionProvider(completions{}), server.WithResourceCompletionProvider(completions{}))
	offered.EnableSampling()
	addTools(offered)
	addResources(offered)
	addPrompts(offered)
	if *transport == "stdio" {
		server.ServeStdio(offered)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening http://%s/mcp\n", listener.Addr())
	log.Fatal(http.Serve(listener, server.NewStreamableHTTPServer(offered)))
}
