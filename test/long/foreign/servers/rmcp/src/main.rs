//! What ../README.md asks for, with the official Rust SDK: a question is asked live of legacy clients, and is a result for modern ones.
#![allow(deprecated)] // roots, sampling and logging

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rmcp::{
    ErrorData, ServerHandler, ServiceExt,
    model::*,
    service::{RequestContext, RoleServer},
    transport::{
        stdio,
        streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager},
    },
};
use serde_json::{Value, json};

const LEVELS: [(LoggingLevel, &str); 8] = [
    (LoggingLevel::Debug, "debug"),
    (LoggingLevel::Info, "info"),
    (LoggingLevel::Notice, "notice"),
    (LoggingLevel::Warning, "warning"),
    (LoggingLevel::Error, "error"),
    (LoggingLevel::Critical, "critical"),
    (LoggingLevel::Alert, "alert"),
    (LoggingLevel::Emergency, "emergency"),
];

fn rank(wanted: LoggingLevel) -> usize {
    LEVELS.iter().position(|(level, _)| *level == wanted).unwrap_or(0)
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn text(value: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(value)])
}

#[derive(Clone)]
struct Offer {
    prefix: String,
    marks: PathBuf,
    level: Arc<Mutex<LoggingLevel>>,
}

type Context = RequestContext<RoleServer>;

async fn progress(context: &Context, step: f64, total: f64) {
    if let Some(token) = context.meta.get_progress_token() {
        let told = ProgressNotificationParam::new(token, step).with_total(total);
        let _ = context.peer.notify_progress(told).await;
    }
}

async fn slow(given: &Value, context: &Context) -> CallToolResult {
    let steps = given["steps"].as_f64().unwrap_or(1.0) as u32;
    for step in 1..=steps {
        progress(context, step.into(), steps.into()).await;
        let pause = given["ms"].as_f64().unwrap_or(0.0) / f64::from(steps);
        tokio::time::sleep(Duration::from_secs_f64(pause / 1000.0)).await;
    }
    text(format!("done after {steps} steps"))
}

async fn until_there(mark: &Path) -> CallToolResult {
    while !mark.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    text("cancelled")
}

fn question(name: &str, label: &str) -> Result<InputRequest, ErrorData> {
    Ok(match name {
        "ask_form" => {
            let schema = json!({ "type": "object", "properties": { "color": { "type": "string" } }, "required": ["color"] });
            InputRequest::Elicitation(ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
                meta: None,
                message: label.into(),
                requested_schema: serde_json::from_value(schema).map_err(failed)?,
            }))
        }
        "ask_sampling" => {
            let params = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(label)], 10);
            InputRequest::CreateMessage(CreateMessageRequest::new(params))
        }
        _ => InputRequest::ListRoots(ListRootsRequest::default()),
    })
}

/// The answer to a question as JSON: that of this call, or where there is none, what a legacy client answers now.
async fn ask(request: CallToolRequestParams, label: &str, context: &Context) -> Result<CallToolResponse, ErrorData> {
    if let Some(answer) = request.input_responses.as_ref().and_then(|answers| answers.get("answer")) {
        return Ok(text(answer.to_string()).into());
    }
    let asked = question(&request.name, label)?;
    let modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    if modern {
        let requests = InputRequests::from([("answer".to_string(), asked)]);
        return Ok(InputRequiredResult::from_input_requests(requests).into());
    }
    let peer = &context.peer;
    let answer = match asked {
        InputRequest::Elicitation(ask) => json!(peer.create_elicitation(ask.params).await.map_err(failed)?),
        InputRequest::CreateMessage(ask) => json!(peer.create_message(ask.params).await.map_err(failed)?),
        _ => json!(peer.list_roots().await.map_err(failed)?),
    };
    Ok(text(answer.to_string()).into())
}

impl Offer {
    async fn log_lines(&self, label: &str, context: &Context) -> CallToolResult {
        let modern = context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let wanted = if modern { context.meta.log_level() } else { Some(*self.level.lock().unwrap()) };
        for (level, name) in LEVELS {
            if wanted.is_some_and(|wanted| rank(level) >= rank(wanted)) {
                let line = LoggingMessageNotificationParam::new(level, json!(format!("{label} {name}")));
                let _ = context.peer.notify_logging_message(line).await;
            }
        }
        text("logged")
    }
}

fn tool(name: &'static str, properties: Value) -> Tool {
    let schema = json!({ "type": "object", "properties": properties });
    Tool::new(name, "Does what its name says.", Arc::new(schema.as_object().cloned().unwrap_or_default()))
}

impl ServerHandler for Offer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities)
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        let label = json!({ "label": { "type": "string" } });
        let numbers = json!({ "a": { "type": "number" }, "b": { "type": "number" } });
        let sum = json!({ "type": "object", "properties": { "sum": { "type": "number" } }, "required": ["sum"] });
        let mut tools = vec![
            tool("echo", json!({ "text": { "type": "string" } })).with_annotations(ToolAnnotations::new().read_only(true)),
            tool("add", numbers).with_raw_output_schema(Arc::new(sum.as_object().cloned().unwrap_or_default())),
            tool("fail", json!({})),
            tool("slow", json!({ "ms": { "type": "number" }, "steps": { "type": "integer" } })),
        ];
        let labelled = ["wait_for_cancel", "was_cancelled", "log_lines", "ask_form", "ask_sampling", "ask_roots"];
        tools.extend(labelled.map(|name| tool(name, label.clone())));
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let given = json!(request.arguments);
        let label = given["label"].as_str().unwrap_or_default().to_string();
        let mark = self.marks.join(&label);
        let result = match request.name.as_ref() {
            "echo" => text(given["text"].as_str().unwrap_or_default()),
            "add" => {
                let sum = given["a"].as_f64().unwrap_or(0.0) + given["b"].as_f64().unwrap_or(0.0);
                CallToolResult::structured(json!({ "sum": sum }))
            }
            "fail" => CallToolResult::error(vec![ContentBlock::text("failed as asked")]),
            "slow" => slow(&given, &context).await,
            "wait_for_cancel" => {
                progress(&context, 1.0, 2.0).await;
                context.ct.cancelled().await;
                std::fs::write(mark, "").map_err(failed)?;
                return Err(failed("cancelled"));
            }
            "was_cancelled" => until_there(&mark).await,
            "log_lines" => self.log_lines(&label, &context).await,
            "ask_form" | "ask_sampling" | "ask_roots" => return ask(request, &label, &context).await,
            _ => return Err(ErrorData::invalid_params("unknown tool", None)),
        };
        Ok(result.into())
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        *self.level.lock().unwrap() = request.level;
        Ok(())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = ["text", "bytes"].map(|name| Resource::new(format!("{}{name}", self.prefix), name));
        Ok(ListResourcesResult::with_all_items(resources.into()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let item = ResourceTemplate::new(format!("{}item/{{id}}", self.prefix), "item");
        Ok(ListResourceTemplatesResult::with_all_items(vec![item]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let path = request.uri.strip_prefix(&self.prefix).unwrap_or_default();
        let contents = match (path, path.strip_prefix("item/")) {
            (_, Some(id)) => ResourceContents::text(format!("item {id}"), &request.uri),
            ("text", _) => ResourceContents::text("a text", &request.uri),
            ("bytes", _) => {
                let bytes: Vec<u8> = (0..=255).collect();
                ResourceContents::blob(BASE64_STANDARD.encode(bytes), &request.uri)
            }
            _ => return Err(ErrorData::resource_not_found("no such resource", None)),
        };
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_prompts(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListPromptsResult, ErrorData> {
        let arguments = vec![PromptArgument::new("who").with_required(true), PromptArgument::new("language")];
        let none: Option<&str> = None;
        let prompts = vec![Prompt::new("plain", none, None), Prompt::new("greet", none, Some(arguments))];
        Ok(ListPromptsResult::with_all_items(prompts))
    }

    async fn get_prompt(&self, request: GetPromptRequestParams, _: Context) -> Result<GetPromptResponse, ErrorData> {
        let given = json!(request.arguments);
        let said = match request.name.as_str() {
            "plain" => "Say something.".to_string(),
            _ => {
                let language = given["language"].as_str().unwrap_or("english");
                format!("Greet {} in {language}.", given["who"].as_str().unwrap_or_default())
            }
        };
        Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, said)]).into())
    }

    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        let known: HashMap<_, _> = request.context.and_then(|context| context.arguments).unwrap_or_default();
        let candidates = match (&request.r#ref, known.get("who").map(String::as_str)) {
            (Reference::Resource(_), _) => vec!["1", "2", "10"],
            (_, Some("Ants")) => vec!["estonian"],
            _ => vec!["english", "estonian", "french", "german"],
        };
        let begins = |candidate: &&str| candidate.starts_with(&request.argument.value);
        let values = candidates.into_iter().filter(begins).map(String::from).collect();
        Ok(CompleteResult::new(CompletionInfo::new(values).map_err(failed)?))
    }
}

fn flag(name: &str) -> String {
    let given: Vec<String> = env::args().collect();
    let at = given.iter().position(|argument| argument == name);
    at.and_then(|at| given.get(at + 1).cloned()).unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let offer = || Offer {
        prefix: format!("{}://", flag("--scheme")),
        marks: flag("--marks").into(),
        level: Arc::new(Mutex::new(LoggingLevel::Debug)),
    };
    if flag("--transport") == "stdio" {
        offer().serve(stdio()).await?.waiting().await?;
        return Ok(());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening http://{}/mcp", listener.local_addr()?);
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(offer()), sessions, StreamableHttpServerConfig::default());
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
