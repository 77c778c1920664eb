// The pipeline as a picture: tables in their order, ways between them by the flows' counters, and
// in red what is lost in each.
import { byId, el, packets, pressable, rate, short, svg } from "./dom.js";

const BOX = { width: 190, height: 40 }, GAP = 26, LEFT = 150, RED = 50;
const wide = (n, most) => (n ? 1.5 + 12 * (Math.log1p(n) / Math.log1p(Math.max(1, most))) : 1);

export class Pipeline {
  constructor(onTable) {
    this.onTable = onTable;
    this.read = null;
    this.shown = null;
    this.asking = false;
    this.askedAt = 0;
  }

  async ask() {
    if (this.asking || performance.now() - this.askedAt < 15000) return;
    this.asking = true;
    try {
      const answer = await fetch("/api/pipelines");
      this.trouble = answer.ok ? "" : await answer.text();
      if (answer.ok) this.read = (await answer.json()).bridges;
    } catch {
      this.trouble = "the page's server does not answer";
    }
    this.asking = false;
    this.askedAt = performance.now();
    if (this.shown) this.show(this.shown);
  }

  show(shown) {
    this.shown = shown;
    const graphs = this.graphs(shown.heat.rows);
    byId("pipeline-note").textContent = this.trouble
      ? `From the records alone: ${this.trouble}. Tables are in the order of their numbers.`
      : this.read ? "Grey: packets that the flows have counted, from table to table. Red: what is dropped. Click on a table to see its drops alone."
        : "Reading the flows of the switch …";
    const shape = JSON.stringify(graphs.map((graph) => [graph, [...graph.lost.values()]]));
    if (shape === this.shape) return;
    this.shape = shape;
    const focused = document.activeElement?.dataset?.table;
    byId("pipeline").replaceChildren(...graphs.map((graph) => this.draw(graph)),
      ...(graphs.length ? [] : [el("p", { class: "note", text: "No table is known yet." })]));
    if (focused) [...byId("pipeline").querySelectorAll("[data-table]")].find((box) => box.dataset.table === focused)?.focus();
  }

  // A graph a bridge; of a bridge that cannot be asked, the tables that the records name.
  graphs(rows) {
    const graphs = new Map();
    for (const graph of this.read ?? [])
      graphs.set(graph.bridge, { bridge: graph.bridge, trouble: graph.trouble, lost: new Map(), ways: graph.ways,
        tables: new Map(graph.tables.map((table) => [table.id, table])) });
    for (const row of rows) {
      if (!graphs.has(row.bridge)) graphs.set(row.bridge, { bridge: row.bridge, lost: new Map(), ways: [], tables: new Map() });
      const graph = graphs.get(row.bridge);
      if (!graph.tables.has(row.id)) graph.tables.set(row.id, { id: row.id, name: row.name, cause: "", dropped: 0, packets: null });
      const before = graph.lost.get(row.id) ?? { rate: 0, packets: 0 };
      graph.lost.set(row.id, { rate: before.rate + row.rate, packets: before.packets + row.packets });
    }
    return [...graphs.values()];
  }

  draw(graph) {
    const tables = [...graph.tables.values()].sort((a, b) => a.id - b.id);
    const place = new Map(tables.map((table, i) => [table.id, i]));
    const lanes = lanesOf(graph.ways, place);
    const depth = Math.max(0, ...lanes.map((lane) => lane.lane));
    const left = Math.min(LEFT + 260, 40 + (depth + 1) * 14);
    const top = (i) => 10 + i * (BOX.height + GAP);
    const most = Math.max(1, ...graph.ways.map((way) => way.packets));
    const mostLost = Math.max(1, ...[...graph.lost.values()].map((lost) => lost.packets));
    const picture = svg("svg", { width: left + BOX.width + RED + 60, height: top(tables.length) + 10, role: "group",
      "aria-label": `Tables of ${graph.bridge}` });
    for (const { from, to, packets: n, lane } of lanes) {
      const [a, b] = [place.get(from), place.get(to)];
      const line = b === a + 1
        ? `M ${left + BOX.width / 2} ${top(a) + BOX.height} V ${top(b)}`
        : `M ${left} ${top(a) + BOX.height * 0.7} C ${left - 14 * (lane + 1)} ${top(a) + BOX.height}, ${left - 14 * (lane + 1)} ${top(b)}, ${left} ${top(b) + BOX.height * 0.3}`;
      picture.append(svg("path", { class: "way", d: line, "stroke-width": wide(n, most) },
        svg("title", { text: `table ${from} to table ${to}: ${packets(n)}` })));
    }
    tables.forEach((table, i) => picture.append(...this.table(graph, table, left, top(i), mostLost)));
    return el("div", {}, el("h3", { text: graph.bridge }),
      ...(graph.trouble ? [el("p", { class: "error", text: graph.trouble })] : []), picture);
  }

  table(graph, table, left, y, mostLost) {
    const lost = graph.lost.get(table.id) ?? { rate: 0, packets: 0 };
    const name = `${table.id} ${table.name}`;
    const made = [];
    if (lost.packets) {
      made.push(svg("path", { class: "lost", d: `M ${left + BOX.width} ${y + 20} h 26`, "stroke-width": wide(lost.packets, mostLost) }));
      made.push(svg("text", { class: "red", x: left + BOX.width + 34, y: y + 17, text: rate(lost.rate) }));
      made.push(svg("text", { class: "red", x: left + BOX.width + 34, y: y + 33, text: `${short(lost.packets)} lost` }));
    }
    const counted = table.packets === null ? "" : `${short(table.packets)} in, ${short(table.dropped)} dropped`;
    const box = svg("g", { role: "button", tabindex: "0", "data-table": `${graph.bridge}/${table.id}`,
      "aria-label": `Table ${name}: ${packets(lost.packets)} lost${counted ? `; counted ${counted}` : ""}. Show this table alone.` },
      svg("rect", { class: `box${lost.packets ? " lossy" : ""}`, x: left, y, width: BOX.width, height: BOX.height, rx: 6 }),
      svg("text", { x: left + 10, y: y + 17, text: name.length > 25 ? `${name.slice(0, 24)}…` : name }),
      svg("text", { class: "soft", x: left + 10, y: y + 33, text: counted }),
      svg("title", { text: table.cause ? `${name}: ${table.cause}` : name }));
    return [...made, pressable(box, () => this.onTable({ bridge: graph.bridge, id: table.id }))];
  }
}

// Ways that pass over other tables go beside them, the longer the farther out.
function lanesOf(ways, place) {
  return ways.map((way) => ({ ...way, lane: Math.min(16, Math.abs(place.get(way.to) - place.get(way.from)) - 1) }))
    .sort((a, b) => b.lane - a.lane);
}
