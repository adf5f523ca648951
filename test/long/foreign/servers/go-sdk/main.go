// What ../README.md asks for, with the official Go SDK: a question is a result, which the SDK asks live of legacy clients.
package main

import (
	"context"
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

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var (
	transport = flag.String("transport", "stdio", "stdio or http")
	scheme    = flag.String("scheme", "", "of the resources")
	marks     = flag.String("marks", "", "the folder of marks")
)

type (
	none   struct{}
	textIn struct {
		Text string `json:"text"`
	}
	labelIn struct {
		Label string `json:"label"`
	}
	sumIn struct {
		A float64 `json:"a"`
		B float64 `json:"b"`
	}
	sumOut struct {
		Sum float64 `json:"sum"`
	}
	slowIn struct {
		Ms    float64 `json:"ms"`
		Steps int     `json:"steps"`
	}
)

func text(value string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: value}}}
}

func progress(ctx context.Context, req *mcp.CallToolRequest, step, total float64) {
	if token := req.Params.GetProgressToken(); token != nil {
		req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: step, Total: total})
	}
}

func slow(ctx context.Context, req *mcp.CallToolRequest, in slowIn) (*mcp.CallToolResult, any, error) {
	for step := 1; step <= in.Steps; step++ {
		progress(ctx, req, float64(step), float64(in.Steps))
		time.Sleep(time.Duration(in.Ms / float64(in.Steps) * float64(time.Millisecond)))
	}
	return text(fmt.Sprintf("done after %d steps", in.Steps)), nil, nil
}

func waitForCancel(ctx context.Context, req *mcp.CallToolRequest, in labelIn) (*mcp.CallToolResult, any, error) {
	progress(ctx, req, 1, 2)
	<-ctx.Done()
	os.WriteFile(filepath.Join(*marks, in.Label), nil, 0o600)
	return nil, nil, ctx.Err()
}

func wasCancelled(ctx context.Context, _ *mcp.CallToolRequest, in labelIn) (*mcp.CallToolResult, any, error) {
	for ctx.Err() == nil {
		if _, err := os.Stat(filepath.Join(*marks, in.Label)); err == nil {
			return text("cancelled"), nil, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, nil, ctx.Err()
}

func logLines(ctx context.Context, req *mcp.CallToolRequest, in labelIn) (*mcp.CallToolResult, any, error) {
	for _, level := range strings.Fields("debug info notice warning error critical alert emergency") {
		req.Session.Log(ctx, &mcp.LoggingMessageParams{Level: mcp.LoggingLevel(level), Data: in.Label + " " + level})
	}
	return text("logged"), nil, nil
}

// asking makes a tool that asks one question and gives the answer back as JSON.
func asking(question func(label string) mcp.InputRequest) mcp.ToolHandlerFor[labelIn, any] {
	return func(_ context.Context, req *mcp.CallToolRequest, in labelIn) (*mcp.CallToolResult, any, error) {
		answer, ok := req.Params.InputResponses["answer"]
		if !ok {
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"answer": question(in.Label)}}, nil, nil
		}
		data, err := json.Marshal(answer)
		return text(string(data)), nil, err
	}
}

func form(label string) mcp.InputRequest {
	color := map[string]any{"type": "object", "properties": map[string]any{"color": map[string]any{"type": "string"}}}
	return &mcp.ElicitParams{Mode: "form", Message: label, RequestedSchema: color}
}

func sample(label string) mcp.InputRequest {
	message := &mcp.SamplingMessage{Role: "user", Content: &mcp.TextContent{Text: label}}
	return &mcp.CreateMessageParams{MaxTokens: 10, Messages: []*mcp.SamplingMessage{message}}
}

func roots(string) mcp.InputRequest { return &mcp.ListRootsParams{} }

func addTools(server *mcp.Server) {
	readOnly := &mcp.ToolAnnotations{ReadOnlyHint: true}
	mcp.AddTool(server, &mcp.Tool{Name: "echo", Description: "Gives the text back.", Annotations: readOnly},
		func(_ context.Context, _ *mcp.CallToolRequest, in textIn) (*mcp.CallToolResult, any, error) {
			return text(in.Text), nil, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "add", Description: "Adds two numbers; structured output."},
		func(_ context.Context, _ *mcp.CallToolRequest, in sumIn) (*mcp.CallToolResult, sumOut, error) {
			return nil, sumOut{Sum: in.A + in.B}, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "fail", Description: "Fails as a tool does."},
		func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, any, error) {
			return nil, nil, errors.New("failed as asked")
		})
	mcp.AddTool(server, &mcp.Tool{Name: "slow", Description: "Takes its time, with progress."}, slow)
	mcp.AddTool(server, &mcp.Tool{Name: "wait_for_cancel", Description: "Ends only when it is cancelled."}, waitForCancel)
	mcp.AddTool(server, &mcp.Tool{Name: "was_cancelled", Description: "Waits for that cancellation."}, wasCancelled)
	mcp.AddTool(server, &mcp.Tool{Name: "log_lines", Description: "Logs one line of every level."}, logLines)
	mcp.AddTool(server, &mcp.Tool{Name: "ask_form", Description: "Asks, and gives the answer back."}, asking(form))
	mcp.AddTool(server, &mcp.Tool{Name: "ask_sampling", Description: "Asks, and gives the answer back."}, asking(sample))
	mcp.AddTool(server, &mcp.Tool{Name: "ask_roots", Description: "Asks, and gives the answer back."}, asking(roots))
}

func contents(value mcp.ResourceContents) mcp.ResourceHandler {
	return func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		read := value
		read.URI = req.Params.URI
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{&read}}, nil
	}
}

func addResources(server *mcp.Server) {
	prefix := *scheme + "://"
	bytes := make([]byte, 256)
	for index := range bytes {
		bytes[index] = byte(index)
	}
	server.AddResource(&mcp.Resource{Name: "text", URI: prefix + "text", MIMEType: "text/plain"},
		contents(mcp.ResourceContents{MIMEType: "text/plain", Text: "a text"}))
	server.AddResource(&mcp.Resource{Name: "bytes", URI: prefix + "bytes", MIMEType: "application/octet-stream"},
		contents(mcp.ResourceContents{MIMEType: "application/octet-stream", Blob: bytes}))
	server.AddResourceTemplate(&mcp.ResourceTemplate{Name: "item", URITemplate: prefix + "item/{id}"},
		func(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			id := strings.TrimPrefix(req.Params.URI, prefix+"item/")
			return contents(mcp.ResourceContents{MIMEType: "text/plain", Text: "item " + id})(ctx, req)
		})
}

func addPrompts(server *mcp.Server) {
	said := func(value string) *mcp.GetPromptResult {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: value}}}}
	}
	server.AddPrompt(&mcp.Prompt{Name: "plain"},
		func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return said("Say something."), nil
		})
	arguments := []*mcp.PromptArgument{{Name: "who", Required: true}, {Name: "language"}}
	server.AddPrompt(&mcp.Prompt{Name: "greet", Arguments: arguments},
		func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			given := req.Params.Arguments
			return said(fmt.Sprintf("Greet %s in %s.", given["who"], given["language"])), nil
		})
}

func complete(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
	candidates := []string{"1", "2", "10"}
	if req.Params.Ref.Type == "ref/prompt" {
		candidates = []string{"english", "estonian", "french", "german"}
		if req.Params.Context != nil && req.Params.Context.Arguments["who"] == "Ants" {
			candidates = []string{"estonian"}
		}
	}
	values := []string{}
	for _, candidate := range candidates {
		if strings.HasPrefix(candidate, req.Params.Argument.Value) {
			values = append(values, candidate)
		}
	}
	return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: values}}, nil
}

func main() {
	flag.Parse()
	options := &mcp.ServerOptions{CompletionHandler: complete}
	server := mcp.NewServer(&mcp.Implementation{Name: "go-sdk", Version: "1.0.0"}, options)
	addTools(server)
	addResources(server)
	addPrompts(server)
	if *transport == "stdio" {
		server.Run(context.Background(), &mcp.StdioTransport{})
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening http://%s/mcp\n", listener.Addr())
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	log.Fatal(http.Serve(listener, handler))
}
