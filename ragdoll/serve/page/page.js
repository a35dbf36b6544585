// Search as you type. All that documents say is set as text, and never as markup.
"use strict";

const WAIT = 120; // milliseconds without a key before a search
const PATIENCE = 400; // milliseconds without an answer before the page says that it searches
const SHOWN = 20;
const BETWEEN = " › "; // the headings of a section

const $ = (id) => document.getElementById(id);
const form = $("form"), query = $("query"), source = $("source"), table = $("table");
const hits = $("hits"), status = $("status");
let timer = 0, latest = 0, running = null, token = sessionStorage.getItem("token") || "";
let asking = null; // the token that is being asked for
let first = ""; // the name of the table that is searched where none is chosen
let isSettled = true; // the next search is a step of its own for back and forward

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// What documents say may be written from right to left.
function written(name, className, text) {
  const made = element(name, className, text);
  made.dir = "auto";
  return made;
}

function mode() {
  return form.elements.mode.value;
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    asking ??= askForToken().finally(() => (asking = null));
    await asking;
    return ask(path, options);
  }
  const record = await answer.json();
  if (!answer.ok) throw new Error(inWords(record.error));
  return record;
}

function inWords({ message, hint }) {
  const isForPrograms = hint?.includes("/openapi.json");
  return hint && !isForPrograms ? `${message} ${hint}` : message;
}

async function askForToken() {
  const dialog = $("ask");
  if (token) $("ask-title").textContent = "The service refuses this token";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  token = $("token").value.trim();
  if (!token || !dialog.returnValue) throw new Error("This service asks for a token. Load the page again to give it.");
  sessionStorage.setItem("token", token);
}

function say(text, isWrong = false) {
  status.textContent = text;
  status.classList.toggle("wrong", isWrong);
}

// The query and its filters are in the address, so that a search can be sent to a colleague.
// What is typed until Enter, or until the field is left, is one step for back and forward.
function remember() {
  const state = new URLSearchParams();
  if (query.value) state.set("q", query.value);
  if (mode() !== "hybrid") state.set("mode", mode());
  if (source.value) state.set("source", source.value);
  if (table.value !== first) state.set("table", table.value);
  const address = `${location.pathname}${state.size ? `?${state}` : ""}`;
  if (address === location.pathname + location.search) return;
  if (isSettled) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  isSettled = false;
}

function recall() {
  const state = new URLSearchParams(location.search);
  query.value = state.get("q") || "";
  source.value = state.get("source") || "";
  const wanted = state.get("mode");
  form.elements.mode.value = ["vector", "text"].includes(wanted) ? wanted : "hybrid";
  choose(state.get("table") || first);
}

function choose(name) {
  if (name && ![...table.options].some((option) => option.value === name)) table.add(new Option(name, name));
  table.value = name;
}

async function search() {
  const number = ++latest;
  running?.abort();
  remember();
  const text = query.value.trim();
  if (!text) {
    hits.replaceChildren();
    say("");
    return;
  }
  running = new AbortController();
  const patience = setTimeout(() => number === latest && say("Searching…"), PATIENCE);
  const begun = performance.now();
  const asked = { query: text, top_k: SHOWN, mode: mode(), text: "snippet", marks: true };
  if (source.value.trim()) asked.source = source.value.trim();
  if (table.value) asked.table = table.value;
  try {
    const record = await ask("/search", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(asked),
      signal: running.signal,
    });
    if (number !== latest) return; // a later search has begun
    hits.replaceChildren(...record.hits.map((hit) => shown(hit)));
    const took = Math.round(performance.now() - begun);
    const count = record.hits.length;
    say(count ? `${count} ${count === 1 ? "answer" : "answers"} in ${took} ms` : "Nothing found.");
  } catch (error) {
    if (number !== latest || error.name === "AbortError") return;
    hits.replaceChildren();
    say(error.message, true);
  } finally {
    clearTimeout(patience);
  }
}

function shown(hit) {
  const item = element("li", "hit");
  item.tabIndex = -1;
  const head = element("div", "head");
  const above = headings(hit);
  if (above) head.append(written("span", "title", above));
  const at = hit.page === null ? hit.line : `p. ${hit.page}`;
  head.append(element("span", "place", at === null ? hit.source : `${hit.source}:${at}`));
  const score = element("span", "score", hit.score.toFixed(3));
  score.title = "Score";
  head.append(score);
  item.append(head, marked(hit.text, hit.marks || []), why(hit));
  return item;
}

// A document without a title of its own has its file's name for one, which the place says.
function headings(hit) {
  const title = `/${hit.source}`.endsWith(`/${hit.title}`) ? "" : hit.title;
  const below = without(without(hit.section, hit.title), BETWEEN);
  return [title, below].filter(Boolean).join(BETWEEN);
}

function without(text, start) {
  return text.startsWith(start) ? text.slice(start.length) : text;
}

function marked(text, marks) {
  const block = written("p", "text");
  // The service counts characters, and a string of JavaScript counts units of UTF-16.
  const characters = Array.from(text);
  let end = 0;
  for (const [from, to] of marks) {
    block.append(characters.slice(end, from).join(""));
    block.append(element("mark", "", characters.slice(from, to).join("")));
    end = to;
  }
  block.append(characters.slice(end).join(""));
  return block;
}

function why(hit) {
  const line = element("div", "why");
  const legs = [["meaning", hit.vector_score, 1], ["words", hit.text_score, 20], ["tokens", hit.token_score, 1]];
  for (const [name, value, most] of legs) {
    if (value === null) continue;
    const leg = element("span", "leg", name);
    const meter = element("meter");
    meter.max = most;
    meter.value = Math.max(0, Math.min(most, value));
    meter.setAttribute("aria-hidden", "true");
    leg.append(meter, element("span", "", value.toFixed(2)));
    line.append(leg);
  }
  const copy = element("button", "text-button", "Copy place");
  copy.type = "button";
  copy.addEventListener("click", async () => {
    const place = hit.path || hit.source;
    await navigator.clipboard.writeText(hit.line === null ? place : `${place}:${hit.line}`);
    copy.textContent = "Copied";
  });
  line.append(copy);
  return line;
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(search, WAIT);
}

function move(step) {
  const all = [...hits.children];
  const at = all.indexOf(document.activeElement) + step;
  if (at < 0) query.focus();
  else all[Math.min(at, all.length - 1)]?.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  search();
  isSettled = true;
});
query.addEventListener("input", soon);
source.addEventListener("input", soon);
form.addEventListener("change", (event) => {
  isSettled = true;
  if (event.target !== query && event.target !== source) search();
});
addEventListener("popstate", () => {
  clearTimeout(timer);
  recall();
  isSettled = true;
  search();
});
document.addEventListener("keydown", (event) => {
  const isTyping = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (event.key === "Escape" && document.activeElement !== query) {
    query.focus();
  } else if (event.key === "ArrowDown" && (document.activeElement === query || !isTyping)) {
    event.preventDefault();
    move(1);
  } else if (event.key === "ArrowUp" && !isTyping) {
    event.preventDefault();
    move(-1);
  }
});

new ResizeObserver(([{ target }]) => {
  document.documentElement.style.setProperty("--header", `${target.offsetHeight}px`);
}).observe(document.querySelector("header"));

async function loadTables() {
  const record = await ask("/tables");
  const names = record.tables.map((one) => one.table);
  names.sort((one, other) => (other === record.default) - (one === record.default));
  const chosen = table.value;
  first = names[0] || "";
  table.replaceChildren(...names.map((name) => new Option(name, name)));
  table.value = names.includes(chosen) ? chosen : first;
  table.parentElement.hidden = names.length < 2;
  const passages = record.tables.reduce((sum, one) => sum + one.passages, 0);
  if (!query.value) say(`${passages.toLocaleString()} passages to search.`);
  else if (chosen && table.value !== chosen) search();
}

table.parentElement.hidden = true;
recall();
if (query.value) search();
else say("Loading the tables…");
loadTables().catch((error) => query.value || say(error.message, true));
