// The page of books: what the running program says of itself.
import { byId, el, facts, packets } from "./dom.js";

export class Books {
  constructor() { this.asking = false; this.askedAt = 0; }

  async ask() {
    if (this.asking || performance.now() - this.askedAt < 2000) return;
    this.asking = true;
    try {
      const answer = await fetch("/api/status");
      if (!answer.ok) throw new Error(await answer.text());
      byId("books").replaceChildren(...told(await answer.json()));
    } catch (error) {
      byId("books").replaceChildren(el("p", { class: "error", text: String(error.message ?? error) }));
    }
    this.asking = false;
    this.askedAt = performance.now();
  }
}

function told({ programs, trouble, page }) {
  const made = [el("h3", { text: "This page" }), facts([["Records from", page.place], ["Records read", page.records],
    ["Drops missing here", page.lost], ["Unreadable lines", page.unreadable], ["Browsers", page.browsers]])];
  if (trouble) made.push(el("p", { class: "note", text: trouble }));
  for (const program of programs) made.push(...ofProgram(program));
  return made;
}

function ofProgram(program) {
  const made = [el("h3", { text: `ryu_droplog, process ${program.pid}` }), facts([["Configuration", program.configuration?.source],
    ["Not taken", program.configuration?.refused]])];
  const unexplained = Object.entries(program.unexplained ?? {}).filter(([, n]) => n);
  made.push(el("p", { class: unexplained.length ? "bad" : "good", text: unexplained.length
    ? `The books do not balance: ${unexplained.map(([name, n]) => `${name}: ${packets(Math.abs(n))}`).join(", ")}` : "The books balance." }));
  for (const [name, state] of Object.entries({ ...program.bridges, ...program.receive })) {
    made.push(el("h4", { text: name }), facts([["State", state.state ?? (state.connected ? "connected" : "not connected")],
      ["Since", state.since], ["Error", state.error], ["Pipeline", state.pipeline]]), table(`Books of ${name}, packets`, state.books ?? {}));
  }
  if (Object.keys(program.sinks ?? {}).length) made.push(el("h4", { text: "Sinks" }), table("Sinks, packets", program.sinks));
  made.push(el("details", {}, el("summary", { text: "All that it says" }), el("pre", { tabindex: "0", "aria-label": "Status", text: JSON.stringify(program, null, 2) })));
  return made;
}

// A table of all numbers that the parts have, a row a part.
function table(name, parts) {
  const rows = Object.entries(parts).filter(([, value]) => value && typeof value === "object").map(([key, value]) => [key, value.books ?? value]);
  const columns = [...new Set(rows.flatMap(([, row]) => Object.keys(row).filter((key) => typeof row[key] === "number")))];
  if (!rows.length) return el("p", { class: "note", text: "No table has counted anything." });
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, el("table", {},
    el("thead", {}, el("tr", {}, el("td"), ...columns.map((column) => el("th", { scope: "col", class: "number", text: column.replaceAll("_", " ") })))),
    el("tbody", {}, ...rows.map(([key, row]) => el("tr", {}, el("th", { scope: "row", text: row.name ? `${key} ${row.name}` : key || "all" }),
      ...columns.map((column) => el("td", { class: "number", text: typeof row[column] === "number" ? row[column].toLocaleString() : "" })))))));
}
