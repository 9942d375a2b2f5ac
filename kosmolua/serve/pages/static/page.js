// Makes the pages quicker to use. They also work without it.
"use strict";

(() => {
  const TYPING = 160; // milliseconds after the last key until a request is sent

  const RETRY = 5000, MAX_RETRY = 300000; // milliseconds until a server is asked again that could not tell the news

  const READING = 1000; // milliseconds until a page is asked for again whose server is still reading what it shows

  const asked = new WeakMap(); // the latest request for each element, and the tag of what the element shows

  /**
   * Shows a block of a page in an element, and returns the status of the answer: 200 if there was something new, 304 if
   * not, and 0 if the server could not be reached, or a later request for the element has ended this one.
   */
  async function refresh(element, address, name) {
    const before = asked.get(element), place = `${name} ${address}`;
    before?.control.abort();
    const now = { ...before, control: new AbortController() };
    asked.set(element, now);
    try {
      const headers = { "X-Part": name, "If-None-Match": before?.place === place ? before.tag : "" };
      const answer = await fetch(address, { headers, redirect: "error", signal: now.control.signal });
      if (answer.status === 401) location.reload(); // the session is over, and the reload redirects to the sign-in
      if (answer.ok) {
        show(element, await answer.text());
        Object.assign(now, { place, tag: answer.headers.get("ETag") ?? "" });
      }
      return answer.status;
    } catch {
      return 0;
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

  /** Makes a node like another one and keeps what stays the same, with its focus, selection and open details. */
  function morph(node, wanted) {
    if (node.dataset?.filled) return;
    if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== wanted.data) node.data = wanted.data;
      return;
    }
    const isUsed = node === document.activeElement || node.matches("details, [data-kept]");
    for (const { name, value } of [...wanted.attributes]) {
      if (node.getAttribute(name) !== value && !(isUsed && name === "value")) node.setAttribute(name, value);
    }
    for (const { name } of [...node.attributes]) {
      if (!wanted.hasAttribute(name) && !(isUsed && name === "open")) node.removeAttribute(name);
    }
    children(node, wanted);
  }

  /** Makes the children of a node like another's. One that stays is not moved if others can be, and keeps its focus. */
  function children(node, wanted) {
    const named = new Map([...node.children].filter((each) => each.id).map((each) => [each.nodeName + each.id, each]));
    let here = node.firstChild;
    for (const want of [...wanted.childNodes]) {
      const stays = want.id && named.get(want.nodeName + want.id);
      const isInTheWay = (each) =>
        each.id
          ? each !== stays && !wanted.querySelector(`#${CSS.escape(each.id)}`)
          : stays || (want.nodeType === Node.ELEMENT_NODE && each.nodeType !== Node.ELEMENT_NODE);
      while (here && isInTheWay(here)) here = removed(here);
      const same = stays || (here && !here.id && !want.id && here.nodeName === want.nodeName && here);
      if (!same) {
        node.insertBefore(want, here);
        continue;
      }
      if (same === here) here = here.nextSibling;
      else (node.moveBefore ?? node.insertBefore).call(node, same, here);
      morph(same, want);
    }
    while (here) here = removed(here);
  }

  /** Removes a node, and returns the one after it. */
  function removed(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
  }

  /** Shows HTML of the server in an element. What stays the same is not replaced. */
  function show(element, html) {
    const wanted = document.createElement("template");
    wanted.innerHTML = html;
    children(element, wanted.content);
    localTimes(element);
    countAllTicked();
  }

  /** Lets times of a day be those of the reader's clock, and tooltips of times say that before the time in UTC. */
  function localTimes(element) {
    for (const each of element.querySelectorAll("time[datetime]")) {
      const utc = each.title.split(" · ").pop();
      each.title = `${new Date(each.dateTime).toLocaleString()} · ${utc}`;
      if ("clock" in each.dataset) each.textContent = new Date(each.dateTime).toLocaleTimeString();
    }
  }

  // Says on the buttons of a form how many of its calls are ticked.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-approval]");
    if (form && event.target.name === "call") countTicked(form);
  });
  function countTicked(form) {
    const ticked = form.querySelectorAll('[name="call"]:checked').length;
    for (const each of form.querySelectorAll("[data-ticked]")) each.textContent = ticked;
    for (const each of form.querySelectorAll("button")) each.disabled = !ticked;
  }
  function countAllTicked() {
    for (const each of document.querySelectorAll("form:has([data-ticked])")) countTicked(each);
  }

  let ahead = null; // how many milliseconds the server's clock is ahead of the reader's, once it has said what time it is

  // Counts on how long something lasts, and how long ago something was.
  setInterval(() => {
    if (ahead === null) return;
    for (const each of document.querySelectorAll("[data-ago]")) {
      const minutes = Math.floor((Date.now() + ahead - new Date(each.dateTime)) / 60000);
      if (minutes > 0) each.textContent = minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
    }
    for (const each of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, Math.floor((Date.now() + ahead - new Date(each.dateTime)) / 1000));
      const minutes = Math.floor(seconds / 60);
      const long = minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
      each.textContent = minutes ? long : `${seconds} s`;
    }
  }, 1000);

  const live = document.querySelector("#live[data-events]");
  const count = document.getElementById("waiting-count");

  function showCount(waiting) {
    if (!count) return;
    count.hidden = !waiting;
    count.lastChild.data = waiting;
    document.title = `${waiting ? `(${waiting}) ` : ""}${document.title.replace(/^\(\d+\) /, "")}`;
  }

  /**
   * Follows what happens while the page is looked at, and returns a function that ends it. `look` shows what is new and
   * returns the status of the answer; one that tells nothing is asked for again. It ends once `isOver`.
   */
  function follow(address, look, isOver = () => false) {
    let stream, told, shown, again, isLooking, isEnded, wait = RETRY;
    const later = () => {
      clearTimeout(again);
      if (isEnded) return; // while the answer was on its way
      again = setTimeout(() => (stream.readyState === EventSource.CLOSED ? listen() : catchUp()), wait);
      wait = Math.min(2 * wait, MAX_RETRY);
    };
    const catchUp = async () => {
      if (isLooking || told === shown || document.hidden) return;
      isLooking = true;
      const state = told, status = await look();
      isLooking = false;
      if (isOver()) return end();
      if (!status || status >= 500) return later();
      shown = state;
      catchUp(); // with what has happened meanwhile
    };
    const hear = (event) => {
      wait = RETRY;
      const news = JSON.parse(event.data);
      ahead = news.now - Date.now();
      showCount(news.waiting);
      told = news.state;
      catchUp();
    };
    const listen = () => {
      stream?.close();
      clearTimeout(again);
      if (document.hidden) return;
      stream = new EventSource(address);
      stream.addEventListener("news", hear);
      stream.addEventListener("error", () => {
        if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
        look(); // if the session is over, this leads to the sign-in
        later();
      });
    };
    const end = () => {
      isEnded = true;
      stream?.close();
      clearTimeout(again);
      document.removeEventListener("visibilitychange", listen);
    };
    document.addEventListener("visibilitychange", listen);
    listen();
    return end;
  }

  let reading; // the timer until this page is asked for again, if its server is still reading what it shows

  // Updates what the page shows.
  async function update() {
    if (!live) return 304;
    const status = await refresh(live, location.href, "live");
    if (status === 404) location.reload(); // such as a plan that somebody has denied
    if (status === 200 && live.querySelector('[data-state="settled"]')) loadAll();
    clearTimeout(reading);
    if (live.querySelector("[data-unread]")) reading = setTimeout(update, status === 200 || status === 304 ? READING : RETRY);
    return status;
  }

  // Loads the parts of a page that take the server a moment.
  function loadAll() {
    for (const each of document.querySelectorAll("[data-load]")) refresh(each, each.dataset.load, "outcome");
  }

  // Updates the result of a filter or a search while a person types.
  function answerWhileTyping(form, element, name, { asks = () => {}, shown = () => {} }) {
    const ask = async () => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      const address = `${form.getAttribute("action")}${query.size ? `?${query}` : ""}`;
      asks(address);
      if ((await refresh(element, address, name)) === 200) shown(query);
    };
    form.addEventListener("input", settled(ask, TYPING));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
    });
  }

  // Fills an unfolded call with its arguments, its answer and its HTTP request.
  async function fill(element) {
    if (element.dataset.filled) return;
    if ((await refresh(element, element.dataset.inside, "call")) === 200) element.dataset.filled = "yes";
  }
  const unfold = (details) => details.querySelectorAll(":scope > [data-inside]").forEach(fill);
  document.addEventListener("toggle", (event) => event.target.open && unfold(event.target), true);

  /** Says something on a button for a moment. */
  function say(button, words) {
    const usual = (button.dataset.usual ??= button.textContent);
    button.textContent = words;
    setTimeout(() => (button.textContent = usual), 2000);
  }

  /** Copies a text, and says so on a button. */
  async function copy(text, button) {
    const isCopied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    say(button, isCopied ? "Copied" : "Copying is not allowed"); // the text is on the page, too
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(document.getElementById(button.dataset.copy).textContent, button);
  });

  document.documentElement.classList.add("scripts");
  localTimes(document);
  loadAll();
  if (count) follow(`${count.dataset.events}${live?.dataset.about ? `?${live.dataset.about}` : ""}`, update);

  // j and k lead through the questions, a and d answer the one that has the focus.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    const forms = [...document.querySelectorAll("[data-approval]")];
    const place = forms.findIndex((each) => each.contains(document.activeElement));
    if (event.key === "j" || event.key === "k") {
      const next = forms[Math.max(0, Math.min(forms.length - 1, place + (event.key === "j" ? 1 : -1)))];
      next?.querySelector(".subject")?.focus();
    } else if ((event.key === "a" || event.key === "d") && (place >= 0 || forms.length === 1)) {
      const form = forms[Math.max(place, 0)];
      const field = event.key === "a" && form.querySelector(".count-field");
      if (field && !field.value) field.focus();
      else form.querySelector(`[data-key="${event.key}"]`).click();
      event.preventDefault();
    }
  });

  const filter = document.querySelector("[data-filter]");
  if (filter) {
    const list = document.getElementById(filter.dataset.filter);
    answerWhileTyping(filter, list, "live", { asks: (address) => history.replaceState(null, "", address) });
    filter.classList.add("by-itself");
  }

  const search = document.querySelector("[data-search]");
  if (search) {
    const found = document.getElementById("found");
    const beside = [document.getElementById("page"), document.querySelector(".toc")].filter(Boolean);
    const shown = (query) => beside.forEach((each) => (each.hidden = query.size > 0));
    answerWhileTyping(search, found, "found", { shown });
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

  // Sends a form once, however often its button is pressed before the answer comes.
  let sent = new WeakSet();
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (sent.has(event.target)) event.preventDefault();
    sent.add(event.target);
  });

  // A browser shows a page again as it was left, with what was ticked.
  addEventListener("pageshow", () => {
    sent = new WeakSet();
    countAllTicked();
  });

  globalThis.kosmolua = { refresh, settled, show, follow, say, copy };
})();
