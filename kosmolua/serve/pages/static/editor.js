// The editor of the playground: a plain text field with colours, line numbers, and marks at the findings of the check.
"use strict";

(() => {
  const { settled, show } = globalThis.kosmolua;
  const form = document.querySelector("[data-playground]");
  const frame = form.querySelector("[data-editor]");
  const field = form.querySelector("textarea");
  const findings = document.getElementById("findings");
  const result = document.getElementById("result");
  const CHECK = 350; // milliseconds after the last key until the script is checked

  const KEYWORDS = new Set(
    ("and break do else elseif end false for function goto if in local nil not or repeat return then true until while")
      .split(" "),
  );
  const KNOWN = new Set(
    ("app arg assert error input ipairs json math next pairs parallel params pcall print select secrets sleep string " +
      "table time tonumber tostring type utf8 warn xpcall lua_list_docs lua_search_docs lua_read_doc").split(" "),
  );
  const TOKEN =
    /(--\[(=*)\[[\s\S]*?(?:\]\2\]|$)|--[^\n]*)|(\[(=*)\[[\s\S]*?(?:\]\4\]|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?)|(0[xX][\da-fA-F.]+|\d+\.?\d*(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)/g;

  /** Returns a fragment that has a script with classes for its tokens. The script is added as text, never as HTML. */
  function coloured(source) {
    const made = document.createDocumentFragment();
    let place = 0;
    for (const found of source.matchAll(TOKEN)) {
      const kind = kindOf(found, source);
      if (!kind) continue;
      made.append(source.slice(place, found.index));
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = found[0];
      made.append(span);
      place = found.index + found[0].length;
    }
    made.append(source.slice(place), "\n");
    return made;
  }

  function kindOf(found, source) {
    if (found[1]) return "hl-c1";
    if (found[3]) return "hl-s2";
    if (found[5]) return "hl-mi";
    if (KEYWORDS.has(found[0])) return "hl-k";
    if (source[found.index - 1] !== "." && KNOWN.has(found[0])) return "hl-nb";
    return source[found.index + found[0].length] === "(" ? "hl-nf" : "";
  }

  const paper = document.createElement("pre");
  paper.className = "paper";
  paper.setAttribute("aria-hidden", "true");
  const gutter = document.createElement("ol");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true");
  frame.append(gutter, paper);
  frame.classList.add("enhanced");

  function draw() {
    paper.replaceChildren(coloured(field.value));
    const lines = field.value.split("\n").length;
    while (gutter.children.length < lines) gutter.append(document.createElement("li"));
    while (gutter.children.length > lines) gutter.lastChild.remove();
    follow();
  }

  function follow() {
    paper.scrollTop = field.scrollTop;
    paper.scrollLeft = field.scrollLeft;
    gutter.scrollTop = field.scrollTop;
  }

  /** Marks the lines of the findings in the gutter. */
  function mark() {
    for (const line of gutter.children) line.className = "";
    for (const each of findings.querySelectorAll("[data-line]")) {
      const line = gutter.children[each.dataset.line - 1];
      if (line && line.className !== "error") line.className = each.className;
    }
  }

  async function send(address, part) {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(address, { method: "POST", body, headers: { "X-Part": part } });
    if (answer.status === 401) location.reload();
    return answer;
  }

  let latest = 0;
  async function check() {
    const number = ++latest;
    try {
      const answer = await send(form.dataset.check, "findings");
      if (number !== latest || !answer.ok) return;
      show(findings, await answer.text());
      mark();
    } catch {
      return; // the server cannot be reached now; the next key tries again
    }
  }

  const button = form.querySelector("[data-run-button]");
  async function run() {
    if (button.disabled) return;
    button.disabled = true;
    result.setAttribute("aria-busy", "true");
    try {
      const answer = await send(form.dataset.run, "outcome");
      const leads = answer.headers.get("X-Leads-To");
      if (leads) location.assign(leads);
      else show(result, await whole(answer));
    } catch {
      result.textContent = "The server could not be reached.";
    } finally {
      button.disabled = false;
      result.removeAttribute("aria-busy");
    }
  }

  /** Returns the HTML of an answer. If the answer is a page about an error, returns only the main part of the page. */
  async function whole(answer) {
    const text = await answer.text();
    if (answer.ok) return text;
    const main = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    return main ? main.innerHTML : "<p>That did not work.</p>";
  }

  const checkSoon = settled(check, CHECK);
  field.addEventListener("input", () => {
    draw();
    checkSoon();
  });
  field.addEventListener("scroll", follow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter?.value === "check") check();
    else run();
  });
  form.querySelector("[name=simulate]").addEventListener("change", check);

  /** Inserts a text where a person types, in a way that the browser can undo. */
  function insert(text) {
    document.execCommand("insertText", false, text);
  }

  let tabLeaves = false;
  field.addEventListener("blur", () => (tabLeaves = false));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    } else if (event.key === "Escape") {
      tabLeaves = true;
    } else if (event.key === "Tab" && !event.shiftKey && !tabLeaves) {
      event.preventDefault();
      insert("  ");
    } else if (event.key === "Enter" && !event.shiftKey) {
      const before = field.value.slice(0, field.selectionStart);
      const line = before.slice(before.lastIndexOf("\n") + 1);
      const deeper = /\b(?:then|do|repeat|else|function\b.*\))\s*$|[{(]\s*$/.test(line) ? "  " : "";
      event.preventDefault();
      insert("\n" + line.match(/^\s*/)[0] + deeper);
    }
  });
  findings.addEventListener("click", (event) => {
    const line = event.target.closest("[data-goto]")?.dataset.goto;
    if (!line) return;
    const lines = field.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    field.focus();
    field.setSelectionRange(start, start + lines[line - 1].length);
  });

  draw();
  check();
})();
