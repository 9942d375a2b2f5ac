// Makes the pages quicker to use. They also work without it.
"use strict";

(() => {
  const TYPING = 160; // milliseconds after the last key until a request is sent

  /** Asks for one block of a page, and returns its HTML, or null if there is none. */
  async function part(address, name, options = {}) {
    try {
      const answer = await fetch(address, { ...options, headers: { "X-Part": name }, redirect: "error" });
      if (answer.status === 401) location.reload(); // the session is over, and the reload redirects to the sign-in
      return answer.ok ? await answer.text() : null;
    } catch {
      return null; // the server cannot be reached now; the next request may reach it
    }
  }

  /** Returns a function that calls `work` once it has not been called for `wait` milliseconds. */
  function settled(work, wait) {
    let timer;
    return (...given) => {
      clearTimeout(timer);
      timer = setTimeout(() => work(...given), wait);
    };
  }

  /** Shows HTML of the server in an element. Details that were open stay open. Returns false if nothing changed. */
  function show(element, html) {
    if (element.dataset.shown === html) return false;
    const open = [...element.querySelectorAll("[id] details[open]")].map((each) => each.closest("[id]").id);
    element.innerHTML = html;
    element.dataset.shown = html;
    for (const id of open) document.getElementById(id)?.querySelector("details")?.setAttribute("open", "");
    return true;
  }

  /** Returns true while a person uses the fields of an element, which must not change then. */
  function isInUse(element) {
    const active = document.activeElement;
    if (active !== element && element.contains(active) && active.matches("input, select, textarea, button")) return true;
    return [...element.querySelectorAll("input")].some((each) => each.checked !== each.defaultChecked);
  }

  // Updates a list or a run at intervals.
  function follow(element) {
    const wait = Number(element.dataset.interval);
    const step = async () => {
      if (!document.hidden && !isInUse(element)) {
        const html = await part(element.dataset.live || location.href, "live");
        if (html !== null && !isInUse(element)) show(element, html);
        if (element.querySelector('[data-state="settled"]')) {
          for (const each of document.querySelectorAll("[data-load]")) load(each);
          return;
        }
      }
      setTimeout(step, wait);
    };
    setTimeout(step, wait);
  }

  // Loads a part of a page that takes the server a moment.
  async function load(element) {
    const html = await part(element.dataset.load, "outcome");
    if (html !== null) show(element, html);
  }

  // Updates the result of a filter or a search while a person types.
  function answerWhileTyping(form, element, name, shown) {
    let latest = 0;
    const ask = async () => {
      const number = ++latest;
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      const address = `${form.getAttribute("action")}${query.size ? `?${query}` : ""}`;
      const html = await part(address, name);
      if (html === null || number !== latest) return;
      show(element, html);
      shown(query, address);
    };
    form.addEventListener("input", settled(ask, TYPING));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
    });
  }

  function countWaiting(element) {
    setInterval(async () => {
      if (document.hidden) return;
      const html = await part(element.dataset.live, "count");
      if (html === null) return;
      show(element, html);
      element.hidden = element.textContent.trim().endsWith(" 0");
    }, 5000);
  }

  for (const each of document.querySelectorAll("[data-interval]")) follow(each);
  for (const each of document.querySelectorAll("[data-load]")) load(each);
  const count = document.getElementById("waiting-count");
  if (count) countWaiting(count);

  const filter = document.querySelector("[data-filter]");
  if (filter) {
    const list = document.getElementById(filter.dataset.filter);
    answerWhileTyping(filter, list, "live", (_, address) => history.replaceState(null, "", address));
    filter.classList.add("by-itself");
  }

  const search = document.querySelector("[data-search]");
  if (search) {
    const found = document.getElementById("found");
    const beside = [document.getElementById("page"), document.querySelector(".toc")].filter(Boolean);
    answerWhileTyping(search, found, "found", (query) => {
      for (const each of beside) each.hidden = query.size > 0;
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
      event.preventDefault();
      search.querySelector("input").focus();
    });
  }

  document.querySelector(".rail [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

  for (const each of document.querySelectorAll("[data-submit]")) {
    each.addEventListener("change", () => each.form.requestSubmit());
    for (const plain of each.form.querySelectorAll("[data-plain]")) plain.hidden = true;
  }

  for (const each of document.querySelectorAll("[data-narrow]")) {
    if (matchMedia("(max-width: 60rem)").matches) each.removeAttribute("open");
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-approval]")) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const each of document.querySelectorAll("[data-sent]")) delete each.dataset.sent;
  });

  globalThis.kosmolua = { part, settled, show };
})();
