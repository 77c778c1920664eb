// Tables of signatures and of the last drops: rows are made once and used again.
import { el, rate, say, short, svg, timeOf, withPort } from "./dom.js";

const CURVE = { width: 92, height: 24 };

function end(cell, name, address) {
  say(cell.firstChild, name || address);
  say(cell.lastChild, name ? address : "");
}
const twoLines = () => el("td", { class: "text" }, el("span"), el("small"));

export function signatureRow(open) {
  const row = el("tr", { hidden: true });
  const bars = Array.from({ length: 30 }, (_, i) =>
    svg("rect", { x: i * 3.05, width: 2.4, y: CURVE.height, height: 0 }));
  const curve = svg("svg", { class: "curve", viewBox: `0 0 ${CURVE.width} ${CURVE.height}`, "aria-hidden": "true" }, ...bars);
  const badge = el("span", { class: "badge", text: "new" });
  const button = el("button", { type: "button" });
  button.addEventListener("click", () => open(row.shown));
  const cells = {
    rate: el("td", { class: "number" }, button, " ", badge), packets: el("td", { class: "number" }),
    curve: el("td", {}, curve), from: twoLines(), to: twoLines(), what: el("td", { class: "text" }),
    where: twoLines(), why: el("td", { class: "text" }), since: el("td", { class: "time" }),
  };
  row.append(...Object.values(cells));
  row.show = (data) => {
    row.shown = data;
    row.hidden = false;
    row.classList.toggle("new", data.new);
    badge.hidden = !data.new;
    say(button, rate(data.rate));
    button.setAttribute("aria-label", `${rate(data.rate)}: open the last drop from ` +
      `${data.source_name || data.source} to ${data.destination_name || data.destination}`);
    say(cells.packets, short(data.packets));
    end(cells.from, data.source_name, data.source);
    end(cells.to, data.destination_name && withPort(data.destination_name, null),
      withPort(data.destination, data.destination_port));
    say(cells.what, data.protocol);
    say(cells.where.firstChild, `${data.table_id} ${data.table}`);
    say(cells.where.lastChild, [data.bridge, data.port].filter(Boolean).join(" · "));
    say(cells.why, `${data.reason} ${data.why}`);
    say(cells.since, timeOf(data.first));
    const most = Math.max(1, ...data.curve);
    data.curve.forEach((value, i) => {
      const height = value ? Math.max(1.5, (value / most) * CURVE.height) : 0;
      bars[i].setAttribute("height", height);
      bars[i].setAttribute("y", CURVE.height - height);
    });
  };
  return row;
}

export function dropRow(open) {
  const row = el("tr", { hidden: true });
  const button = el("button", { type: "button" });
  button.addEventListener("click", () => open(row.shown));
  const cells = { time: el("td", { class: "time" }, button), from: twoLines(), to: twoLines(),
    what: el("td", { class: "text" }), where: el("td", { class: "text" }) };
  row.append(...Object.values(cells));
  row.show = (data) => {
    row.shown = data;
    row.hidden = false;
    say(button, timeOf(data.time));
    button.setAttribute("aria-label", `open the drop of ${timeOf(data.time)}`);
    end(cells.from, data.source_name, withPort(data.source, data.source_port));
    end(cells.to, data.destination_name, withPort(data.destination, data.destination_port));
    say(cells.what, data.protocol + (data.repeated ? ` ${data.repeated} times` : ""));
    say(cells.where, `${data.table_id} ${data.table} ${data.reason}`);
  };
  return row;
}

// Shows data in the rows of a table; rows are added as they are needed and never more than `most`.
export function fill(body, list, most, make) {
  while (body.children.length < Math.min(list.length, most)) body.append(make());
  for (let i = 0; i < body.children.length; i += 1) {
    if (i < list.length) body.children[i].show(list[i]);
    else body.children[i].hidden = true;
  }
}
