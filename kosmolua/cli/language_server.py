"""A language server for scripts: findings as one types, completion, help, and a lens with what the script may do."""

from __future__ import annotations

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.workspace import PositionCodec, TextDocument

from kosmolua import __version__
from kosmolua.authoring.completion import Candidates, signature
from kosmolua.authoring.names_in import names_in, path_at
from kosmolua.check.checked import Checked
from kosmolua.errors import KosmoError
from kosmolua.runtime import Runtime
from kosmolua.schema.names import APP

SOURCE = "kosmolua"
MAX_HELP = 4000
"""The most characters of a page that are shown beside the cursor."""


def language_server(runtime: Runtime) -> LanguageServer:
    """Return a server for the scripts that run with the integrations and accounts of a runtime."""
    server = LanguageServer(SOURCE, __version__)
    checker = runtime.checker(is_complete=False)

    def document_at(uri: str) -> TextDocument:
        """Return a document that is open; one that is not, about which there is nothing to say, as an empty one."""
        return server.workspace.text_documents.get(uri) or TextDocument(uri, "")

    def checked(uri: str) -> Checked:
        source = document_at(uri).source.encode()
        return Checked(source, checker.check(source))

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def check(given: lsp.DidOpenTextDocumentParams | lsp.DidChangeTextDocumentParams) -> None:
        uri = given.text_document.uri
        found = _diagnostics(checked(uri), server.workspace.position_codec)
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found))

    @server.feature(lsp.TEXT_DOCUMENT_CODE_LENS)
    def bill(given: lsp.CodeLensParams) -> list[lsp.CodeLens]:
        said = checked(given.text_document.uri).report.summary()
        start = lsp.Position(0, 0)
        return [lsp.CodeLens(lsp.Range(start, start), lsp.Command(said, ""))] if said else []

    def typed(given: lsp.CompletionParams | lsp.SignatureHelpParams) -> tuple[str, Candidates]:
        """Return the text before the cursor, and what finds its completions."""
        document = document_at(given.text_document.uri)
        before = document.source[: document.offset_at_position(given.position)]
        return before, Candidates(runtime.catalog, lambda base: names_in(document.source, base), {}, lambda _: ())

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=[".", "{", ",", '"', "="]))
    def complete(given: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        before, candidates = typed(given)
        return [lsp.CompletionItem(each.text, detail=each.about or None) for each in candidates.of(before)]

    @server.feature(lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions(["(", "{", ","]))
    def sign(given: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        before, candidates = typed(given)
        function = candidates.function_at(before)
        return lsp.SignatureHelp([lsp.SignatureInformation(signature(function))]) if function else None

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def explain(given: lsp.HoverParams) -> lsp.Hover | None:
        document = document_at(given.text_document.uri)
        path = path_at(document.source, document.offset_at_position(given.position))
        try:
            page = runtime.docs.read(path, budget=MAX_HELP) if path.startswith(f"{APP}.") else ""
        except KosmoError:
            return None
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, page)) if page else None

    return server


def _diagnostics(checked: Checked, codec: PositionCodec) -> list[lsp.Diagnostic]:
    lines = checked.source.decode().split("\n")

    def position(line: int, column: int) -> lsp.Position:
        """Return a place in the units in which the editor counts."""
        return codec.position_to_client_units(lines, lsp.Position(line - 1, column - 1))

    severities = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning}
    found = []
    for finding in checked.report.findings:
        line, column, last, behind = checked.region(finding)
        place = lsp.Range(position(line, column), position(last, behind))
        severity = severities[finding.severity]
        found.append(lsp.Diagnostic(place, finding.advice, severity, finding.code, source=SOURCE))
    return found
