// The editor of the playground: CodeMirror with the server's completion, signatures and findings, in place of a text field.
"use strict";

(() => {
  const { refresh, settled, show, follow, say, copy } = globalThis.kosmolua;
  const C = globalThis.CodeMirror;
  const form = document.querySelector("[data-playground]");
  const frame = form.querySelector("[data-editor]");
  const field = form.querySelector("textarea");
  const findings = document.getElementById("findings");
  const result = document.getElementById("result");
  const signature = document.getElementById("signature");
  const CHECK = 350, HINT = 120; // milliseconds after the last key until the script is checked, and the hint asked for
  const MAX_LINK = 8000; // characters of an address that servers and browsers surely take
  const draft = `kosmolua draft of ${form.dataset.tenant}`;

  async function send(address, more = {}) {
    const body = new URLSearchParams(new FormData(form));
    body.set("source", source());
    for (const [name, value] of Object.entries(more)) body.set(name, value);
    const answer = await fetch(address, { method: "POST", body, headers: { "X-Part": more.part ?? "findings" } });
    if (answer.status === 401) location.reload();
    return answer;
  }

  // What the server knows about the place of the cursor.
  async function ask(at) {
    try {
      const answer = await send("playground/complete", { at });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null; // the server cannot be reached now; the next key tries again
    }
  }

  async function complete(context) {
    const before = context.matchBefore(/[\w.:]+$/);
    if (!before && !context.explicit && !/[{,("'=]\s*$/.test(context.state.sliceDoc(0, context.pos).slice(-3))) return null;
    const known = await ask(context.pos);
    if (context.aborted) return null;
    // After null nobody would ask for what was typed while the server answered; after an empty result the editor does.
    if (!known?.found.length) return { from: context.pos, options: [] };
    const from = context.pos - known.found[0][1];
    return {
      from,
      options: known.found.map(([label, , detail]) => ({ label, detail: detail || undefined, type: kind(detail) })),
      validFor: /^\w*$/,
    };
  }

  function kind(about) {
    if (["keyword", "integration", "account", "table", "global", "local", "guide"].includes(about)) return about;
    return about === "function" || / /.test(about) ? "function" : "value";
  }

  const hint = settled(async (view) => {
    const known = await ask(view.state.selection.main.head);
    signature.textContent = known?.signature ?? "";
  }, HINT);

  let latest = 0;
  async function check() {
    const number = ++latest;
    try {
      const answer = await send("playground/check");
      if (number !== latest || !answer.ok) return;
      show(findings, await answer.text());
      mark();
    } catch {
      return; // the server cannot be reached now; the next key tries again
    }
  }
  const checkSoon = settled(check, CHECK);

  /** Returns where a line and a column are in the script. */
  function place(line, column) {
    const { doc } = view.state;
    const found = doc.line(Math.max(1, Math.min(line, doc.lines)));
    return found.from + [...found.text].slice(0, column - 1).join("").length;
  }

  /** Underlines what the findings are about. */
  function mark() {
    const found = [...findings.querySelectorAll("[data-region]")].map((each) => {
      const [line, column, last, behind] = each.dataset.region.split(" ").map(Number);
      const advice = each.querySelector(".advice")?.textContent;
      const message = each.querySelector(".message").textContent + (advice ? `\n${advice}` : "");
      const from = place(line, column);
      return { from, to: Math.max(from, place(last, behind)), severity: each.className, message };
    });
    view.dispatch(C.setDiagnostics(view.state, found));
  }

  const highlighted = C.syntaxHighlighting(
    C.HighlightStyle.define([
      { tag: C.tags.keyword, class: "hl-k" },
      { tag: [C.tags.string, C.tags.special(C.tags.string)], class: "hl-s" },
      { tag: C.tags.number, class: "hl-m" },
      { tag: C.tags.comment, class: "hl-c" },
      { tag: [C.tags.standard(C.tags.variableName), C.tags.standard(C.tags.name)], class: "hl-nb" },
    ]),
  );

  let leaves = false; // after Escape, Tab leaves the editor
  const keys = [
    { key: "Mod-Enter", run: () => (start("run"), true) },
    { key: "Escape", run: () => ((leaves = true), false) },
    { key: "Tab", run: (view) => !leaves && (C.acceptCompletion(view) || indent(view)), shift: (view) => !leaves && C.indentLess(view) },
  ];
  const indent = (view) => {
    const { state } = view;
    if (state.selection.ranges.some((each) => !each.empty)) return C.indentMore(view);
    view.dispatch(state.update(state.replaceSelection("  "), { scrollIntoView: true, userEvent: "input" }));
    return true;
  };

  function remembered() {
    try {
      return form.hasAttribute("data-given") ? null : localStorage.getItem(draft);
    } catch {
      return null; // the browser keeps nothing
    }
  }

  const remember = settled(() => {
    try {
      localStorage.setItem(draft, source());
    } catch {
      return; // the browser keeps nothing, or has no room
    }
  }, CHECK);

  const view = new C.EditorView({
    doc: remembered() || field.value,
    parent: frame,
    extensions: [
      C.EditorView.cspNonce.of(form.dataset.nonce),
      C.lineNumbers(),
      C.lintGutter(),
      C.history(),
      C.drawSelection(),
      C.highlightActiveLine(),
      C.highlightActiveLineGutter(),
      C.StreamLanguage.define(C.lua),
      highlighted,
      C.indentUnit.of("  "),
      C.indentOnInput(),
      C.bracketMatching(),
      C.closeBrackets(),
      C.search(),
      C.highlightSelectionMatches(),
      C.autocompletion({ override: [complete], icons: false }),
      C.Prec.high(C.keymap.of(keys)),
      C.keymap.of([...C.closeBracketsKeymap, ...C.completionKeymap, ...C.searchKeymap, ...C.historyKeymap, ...C.defaultKeymap]),
      C.EditorView.contentAttributes.of({ "aria-label": "Lua script", "aria-describedby": "findings keys" }),
      C.EditorView.updateListener.of((update) => {
        if (update.docChanged) {
          checkSoon();
          remember();
          field.value = source();
        }
        if (update.docChanged || update.selectionSet) hint(update.view);
      }),
      C.EditorView.domEventHandlers({ blur: () => void (leaves = false), keydown: (event) => void (leaves &&= event.key === "Tab") }),
    ],
  });
  function source() {
    return view ? view.state.doc.toString() : field.value;
  }
  frame.classList.add("enhanced");
  field.hidden = true;
  field.value = source();
  form.querySelector('label[for="source"]').remove();

  // Runs

  let shown = null;
  async function reload() {
    const status = await refresh(result, shown, "trial");
    result.toggleAttribute("aria-busy", false);
    return status;
  }
  const isOver = () => result.querySelector("[data-state]")?.dataset.state === "settled";

  const buttons = [...form.querySelectorAll('[value="run"], [value="plan"]')];
  let stop = () => {};
  /** Shows what the result is now, and then each change, until there is none to come. */
  async function watch() {
    stop();
    result.querySelector("[data-state]")?.removeAttribute("data-state");
    await reload();
    if (!isOver()) stop = follow(`events?run=${shown.split("/").pop()}`, reload, isOver);
  }

  async function start(deed) {
    if (buttons[0].disabled) return;
    for (const each of buttons) each.disabled = true;
    result.setAttribute("aria-busy", "true");
    stop();
    try {
      const answer = await send(form.getAttribute("action"), { deed, part: "problem" });
      shown = answer.headers.get("X-Shows");
      if (!shown) {
        show(result, await answer.text());
        result.removeAttribute("aria-busy");
        return;
      }
      await watch();
    } catch {
      result.textContent = "The server could not be reached.";
    } finally {
      for (const each of buttons) each.disabled = false;
      result.removeAttribute("aria-busy");
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter?.value === "check") check();
    else start(event.submitter?.value ?? "run");
  });
  form.querySelector("[name=simulate]")?.addEventListener("change", check);

  // Forms in the result, such as an approval, are answered in place.
  result.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { target, submitter } = event;
    const body = new URLSearchParams(new FormData(target, submitter));
    const answer = await fetch(target.action, { method: "POST", body });
    if (answer.status === 401) location.reload(); // the session is over, and the reload redirects to the sign-in
    else if (!answer.ok) {
      const main = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      show(result, main?.innerHTML ?? "<p>That did not work.</p>");
    } else await watch();
  });

  findings.addEventListener("click", (event) => {
    const region = event.target.closest("[data-goto]")?.closest("[data-region]").dataset.region.split(" ").map(Number);
    if (!region) return;
    view.dispatch({ selection: { anchor: place(region[0], region[1]) }, scrollIntoView: true });
    view.focus();
  });

  const link = form.querySelector("[data-link]");
  link.addEventListener("click", () => {
    const address = new URL(form.action);
    address.searchParams.set("source", source());
    if (address.href.length > MAX_LINK) return say(link, "Too long for a link");
    history.replaceState(null, "", address);
    copy(address.href, link);
  });

  check();
})();
