// The matrix of ends: who sent to whom what was dropped.
import { byId, el, packets, short } from "./dom.js";

export class Ends {
  constructor(onPair) {
    this.onPair = onPair;
    this.shape = "";
  }

  show(shown) {
    const { ends } = shown;
    const shape = JSON.stringify(ends);
    if (shape === this.shape) return;
    this.shape = shape;
    const others = ends.others ? ` ${packets(ends.others)} of other ends are not shown.` : "";
    byId("ends-note").textContent = ends.cells.length
      ? `Rows send, columns should have received. Choose a number to see that pair alone.${others}`
      : "Nothing was dropped that fits.";
    const most = Math.max(1, ...ends.cells.map((cell) => cell[2]));
    const cells = new Map(ends.cells.map(([row, column, n]) => [`${row}/${column}`, n]));
    const focused = document.activeElement?.dataset?.pair;
    const head = el("tr", {}, el("td"), ...ends.destinations.map((to) => el("th", { scope: "col", text: to.name })));
    const rows = ends.sources.map((from, r) => el("tr", {}, el("th", { scope: "row", text: from.name }),
      ...ends.destinations.map((to, c) => {
        const n = cells.get(`${r}/${c}`);
        if (!n) return el("td");
        const level = Math.min(4, 1 + Math.floor((3.99 * Math.log1p(n)) / Math.log1p(most) * 0.999));
        return el("td", { class: `m${level}` }, el("button", { type: "button", text: short(n), "data-pair": `${from.name} ${to.name}`,
          "aria-label": `${from.name} to ${to.name}: ${packets(n)}`, onclick: () => this.onPair(from, to) }));
      })));
    byId("ends").replaceChildren(...(ends.cells.length ? [el("thead", {}, head), el("tbody", {}, ...rows)] : []));
    if (focused) [...byId("ends").querySelectorAll("[data-pair]")].find((one) => one.dataset.pair === focused)?.focus();
  }
}
