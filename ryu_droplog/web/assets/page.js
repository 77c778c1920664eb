// The page: what is looked at, and who shows it.
import * as address from "./address.js";
import { Books } from "./books.js";
import { byId, clock, el, packets, say } from "./dom.js";
import { DropView } from "./drop.js";
import { Ends } from "./ends.js";
import { Feed } from "./feed.js";
import { Heat } from "./heat.js";
import { Pipeline } from "./pipeline.js";
import { dropRow, fill, signatureRow } from "./rows.js";

const VIEWS = ["now", "time", "pipeline", "ends", "books"];
const ROWS = 100, LATEST = 40, TYPING = 250;

let state = address.read();
let last = null;
const open = ({ key, number }) => { change({ drop: key, number: String(number) }); drop.open(key, number); };
const drop = new DropView(() => { if (state.drop) change({ drop: "", number: "" }); });
const onTable = (row) => { addFilter(`--bridge ${address.quoted(address.literal(row.bridge))} --table ${row.id}`); go("now"); };
const heat = new Heat((since, until) => { change({ since, until }); follow(); }, onTable);
const pipeline = new Pipeline(onTable);
const ends = new Ends((from, to) => {
  if (from.ip && to.ip) { addFilter(`--from-ip ${from.ip} --to-ip ${to.ip}`); go("now"); }
});
const books = new Books();
const feed = new Feed((shown) => { last = shown; draw(); }, connection);

function change(changes, replace = false) {
  state = { ...state, ...changes };
  address.write(state, replace);
}

function follow() { feed.ask(address.query(state)); spanNote(); }

function go(view) {
  change({ view });
  showView();
}

const currentView = () => (VIEWS.includes(state.view) ? state.view : "now");

function showView() {
  const view = currentView();
  for (const name of VIEWS) byId(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "pipeline") pipeline.ask();
  if (view === "books") books.ask();
  if (last) draw();
}

function draw() {
  const shown = last;
  feedState(shown);
  const view = currentView();
  if (view === "now") drawNow(shown);
  else if (view === "time") heat.show(shown);
  else if (view === "pipeline") { pipeline.ask(); pipeline.show(shown); }
  else if (view === "ends") ends.show(shown);
}

function drawNow(shown) {
  const { signatures, acked } = shown;
  const empty = byId("now-empty");
  empty.hidden = signatures.length > 0 && shown.signatures_in_all <= signatures.length;
  if (!signatures.length) say(empty, state.filter || state.since ? "Nothing that fits was dropped." : "Nothing is dropped. A drop appears here by itself.");
  else say(empty, `${signatures.length} of ${shown.signatures_in_all} signatures are shown.`);
  fill(document.querySelector("#signatures tbody"), signatures, ROWS, () => signatureRow(open));
  byId("acked").hidden = !acked.length;
  if (acked.length) {
    say(byId("acked-title"), `${shown.acked_in_all} acknowledged`);
    if (byId("acked").open) fill(document.querySelector("#acked tbody"), acked, ROWS, () => signatureRow(open));
  }
  fill(document.querySelector("#latest tbody"), shown.latest, LATEST, () => dropRow(open));
}

function feedState(shown) {
  const from = shown.from;
  const node = byId("state");
  node.classList.toggle("bad", Boolean(from.trouble || from.lost || feed.missed));
  const parts = [from.trouble ? `no drops come: ${from.trouble}` : from.ended ? "all was read" : "live",
    from.lost ? `${from.lost.toLocaleString()} drops missing here: too many at once` : "",
    feed.missed ? `this browser was too slow for ${feed.missed} updates` : ""];
  say(node, parts.filter(Boolean).join(" · "));
  say(byId("source"), `${from.place}: ${from.records.toLocaleString()} records read. ${packets(shown.packets)} shown of the last half hour, as of ${clock(shown.now)}.`);
}

function connection(how) {
  if (how !== "away") return;
  byId("state").classList.add("bad");
  say(byId("state"), "the page's server does not answer; trying again");
}

function spanNote() {
  const note = byId("span-note");
  note.hidden = !(state.since || state.until);
  if (note.hidden) return;
  note.replaceChildren(`Only from ${state.since ? clock(Number(state.since)) : "the beginning"} to ${state.until ? clock(Number(state.until) + 10) : "now"}. `,
    el("button", { type: "button", class: "plain", text: "Show all", onclick: () => { change({ since: "", until: "" }); follow(); } }));
}

// Filters, as one types

let typing = 0;
async function filterTyped() {
  const text = byId("filter").value.trim();
  const mine = (typing += 1);
  await new Promise((done) => { setTimeout(done, TYPING); });
  if (mine !== typing || text === state.filter) { if (mine === typing) say(byId("filter-error"), ""); return; }
  const answer = await fetch(`/api/check?${new URLSearchParams({ filter: text })}`).catch(() => null);
  if (mine !== typing || !answer) return;
  if (!answer.ok) { say(byId("filter-error"), await answer.text()); return; }
  say(byId("filter-error"), "");
  change({ filter: text }, true);
  follow();
}

function setFilter(text) {
  byId("filter").value = text;
  say(byId("filter-error"), "");
  typing += 1;
  change({ filter: text });
  follow();
}
function addFilter(text) { if (!` ${state.filter} `.includes(` ${text} `)) setFilter(`${state.filter} ${text}`.trim()); }

async function helpWithFilters() {
  const answer = await fetch("/api/filters");
  for (const { flag, value, help } of await answer.json())
    byId("filter-help").append(el("dt", { text: `${flag} ${value}` }), el("dd", { text: help }));
}

// Light and dark

function theme(chosen) {
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  say(byId("theme"), dark ? "Light" : "Dark");
}
const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };

function arrive() {
  state = address.read();
  byId("filter").value = state.filter;
  showView();
  follow();
  if (state.drop) drop.open(state.drop, state.number);
  else if (byId("drop").open) byId("drop").close();
}

theme(stored());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(stored()));
byId("theme").addEventListener("click", () => {
  const chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", chosen); } catch { /* it is for this time only */ }
  theme(chosen);
});
byId("pause").addEventListener("click", (event) => {
  const paused = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", String(paused));
  feed.pause(paused);
});
byId("filter").addEventListener("input", filterTyped);
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); filterTyped(); });
byId("clear").addEventListener("click", () => setFilter(""));
byId("acked").addEventListener("toggle", () => { if (last) draw(); });
for (const link of document.querySelectorAll("nav a"))
  link.addEventListener("click", (event) => { event.preventDefault(); go(link.dataset.view); });
addEventListener("popstate", arrive);
setInterval(() => { if (state.view === "books" && !document.hidden) books.ask(); }, 5000);
arrive();
helpWithFilters();
