// The heat map: a row a table, a column a step of time, with a brush to choose a span.
import { byId, clock, el, packets, pressable, svg } from "./dom.js";

const CELL = 5, ROW = 20, LEFT = 220, TOP = 18;

export class Heat {
  constructor(onSpan, onTable) {
    this.onSpan = onSpan;
    this.onTable = onTable;
    this.data = null;
    this.cursor = null;
    this.from = null;
    this.svg = null;
    this.status = el("p", { class: "note", role: "status", "aria-live": "polite" });
    this.note = el("p", { class: "note" });
    this.holder = el("div");
    byId("heat").append(this.holder, this.status, this.note);
  }

  show(shown) {
    if (this.from !== null) return; // a span is being chosen: the picture stands still
    const { heat } = shown;
    this.data = { ...heat, step: shown.step, chosen: [shown.first, shown.last] };
    const width = LEFT + heat.steps * CELL, height = TOP + heat.rows.length * ROW + 24;
    if (!heat.rows.length) {
      this.holder.replaceChildren(el("p", { class: "note", text: "Nothing was dropped in the last half hour that fits." }));
      this.svg = null;
      return;
    }
    const shape = `${heat.rows.length}/${heat.rows.map((row) => `${row.node}/${row.bridge}/${row.id}/${row.name}`).join()}`;
    if (shape !== this.shape || !this.svg) this.build(shape, width, height);
    const most = Math.max(1, ...heat.rows.flatMap((row) => row.counts));
    heat.rows.forEach((row, r) => row.counts.forEach((count, c) => {
      const level = count ? Math.min(4, 1 + Math.floor((3.99 * Math.log1p(count)) / Math.log1p(most) * 0.999)) : 0;
      const name = `cell-${level}`, cell = this.cells[r][c];
      if (cell.getAttribute("class") !== name) cell.setAttribute("class", name);
    }));
    this.ticks.forEach((tick, i) => { tick.textContent = clock((heat.first + i * 30) * shown.step); });
    this.note.textContent = `The strongest colour is ${packets(most)} in ${shown.step} seconds.`;
    const [first, last] = this.data.chosen;
    this.mark(Math.max(first, heat.first), last);
  }

  build(shape, width, height) {
    this.shape = shape;
    const { rows, steps } = this.data;
    const area = svg("g", { role: "slider", tabindex: "0", "aria-label": "Span of time", "aria-valuemin": 0,
      "aria-valuemax": steps - 1, "aria-valuenow": steps - 1, "aria-valuetext": "now" });
    this.cells = rows.map((row, r) => row.counts.map((_, c) =>
      svg("rect", { x: LEFT + c * CELL, y: TOP + r * ROW, width: CELL, height: ROW - 2 })));
    area.append(...this.cells.flat());
    const names = rows.map((row, r) => {
      const label = `${row.id} ${row.name} (${row.bridge})`;
      return pressable(svg("text", { x: 0, y: TOP + r * ROW + 13, role: "button", tabindex: "0",
        text: label.length > 32 ? `${label.slice(0, 31)}…` : label, "aria-label": `Only table ${label}` }),
        () => this.onTable(this.data.rows[r]));
    });
    this.ticks = Array.from({ length: Math.floor(steps / 30) }, (_, i) =>
      svg("text", { class: "soft", x: LEFT + i * 30 * CELL, y: height - 8 }));
    this.brush = svg("rect", { class: "brush", y: TOP - 4, height: rows.length * ROW + 4 });
    this.svg = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` }, ...names, area, this.brush, ...this.ticks);
    this.listen(area);
    this.holder.replaceChildren(this.svg);
  }

  stepAt(event) {
    const box = this.svg.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - LEFT) / CELL);
    return this.data.first + Math.max(0, Math.min(this.data.steps - 1, column));
  }

  listen(area) {
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.clientX - this.svg.getBoundingClientRect().left < LEFT) return;
      this.from = this.stepAt(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (this.from !== null) this.mark(this.from, this.stepAt(event));
    });
    this.svg.addEventListener("pointerup", (event) => {
      if (this.from === null) return;
      const [from, to] = [this.from, this.stepAt(event)];
      this.from = null;
      this.choose(from, to);
    });
    this.svg.addEventListener("pointercancel", () => { this.from = null; });
    area.addEventListener("keydown", (event) => this.key(event, area));
  }

  key(event, area) {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 }[event.key];
    if (event.key === "Escape") { this.onSpan("", ""); return; }
    if (by === undefined) return;
    event.preventDefault();
    const last = this.data.first + this.data.steps - 1;
    const at = Math.max(this.data.first, Math.min(last, (this.cursor ?? last) + by));
    if (event.shiftKey) this.choose(this.anchor ?? this.cursor ?? last, at);
    else this.anchor = at;
    this.anchor ??= this.cursor ?? last;
    this.cursor = at;
    area.setAttribute("aria-valuenow", at - this.data.first);
    area.setAttribute("aria-valuetext", clock(at * this.data.step));
    if (!event.shiftKey) {
      const sum = this.data.rows.reduce((n, row) => n + row.counts[at - this.data.first], 0);
      this.status.textContent = `${clock(at * this.data.step)}: ${packets(sum)}`;
    }
  }

  mark(from, to) {
    const [a, b] = [Math.min(from, to), Math.max(from, to)];
    this.brush.setAttribute("x", LEFT + (a - this.data.first) * CELL);
    this.brush.setAttribute("width", Math.max(1, b - a + 1) * CELL);
    this.brush.setAttribute("visibility", b - a + 1 >= this.data.steps ? "hidden" : "visible");
  }

  choose(from, to) {
    const [a, b] = [Math.min(from, to), Math.max(from, to)];
    this.onSpan(String(a * this.data.step), String(b * this.data.step));
  }
}
