// One drop opened: what it was, its layers, its bytes, why, and what would let it pass.
import { byId, el, facts, withPort } from "./dom.js";

const LAYERS = ["ethernet", "vlans", "arp", "ipv4", "ipv6", "tcp", "udp", "sctp", "icmp", "icmpv6", "dhcp", "dns", "vxlan", "geneve", "gre"];

export class DropView {
  constructor(onClose) {
    this.dialog = byId("drop");
    this.asked = 0;
    byId("drop-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => { this.asked += 1; onClose(); });
  }

  async open(signature, number) {
    const mine = (this.asked += 1);
    const query = new URLSearchParams({ signature, ...(number ? { number } : {}) });
    const body = byId("drop-body");
    body.replaceChildren(el("p", { class: "note", text: "Reading …" }));
    if (!this.dialog.open) this.dialog.showModal();
    byId("drop-title").focus();
    try {
      const answer = await fetch(`/api/drop?${query}`);
      if (mine !== this.asked) return;
      if (!answer.ok) throw new Error(await answer.text());
      const told = await answer.json();
      if (mine !== this.asked) return;
      const why = el("section", { "aria-live": "polite" }, el("h3", { text: "Why" }), el("p", { class: "note", text: "Asking the switch …" }));
      body.replaceChildren(...what(told), why, ...contents(told, query));
      await this.explain(query, why, mine);
    } catch (error) {
      if (mine === this.asked) body.replaceChildren(el("p", { class: "error", text: String(error.message ?? error) }));
    }
  }

  async explain(query, section, mine) {
    const answer = await fetch(`/api/explain?${query}`);
    if (mine !== this.asked) return;
    if (!answer.ok) {
      section.replaceChildren(el("h3", { text: "Why" }), el("p", { class: "note", text: `Not known from here: ${await answer.text()}.` }));
      return;
    }
    const told = await answer.json();
    if (mine !== this.asked) return;
    section.replaceChildren(el("h3", { text: "Why" }), ...explained(told));
  }
}

function identity(end) {
  if (!end) return "";
  const who = end.identity ?? {};
  const name = [who.namespace && who.pod ? `${who.namespace}/${who.pod}` : who.pod, who.vm || who.vm_id, who.router, who.logical_port, who.port, who.network]
    .filter(Boolean).join(" · ");
  return [withPort(end.ip || end.mac || "-", end.port), end.ip && end.mac ? end.mac : "", name].filter(Boolean).join(" · ");
}

function what({ record, facts: seen, length }) {
  return [facts([
    ["Time", new Date(Date.parse(record.time)).toLocaleString()], ["Node", record.node], ["Bridge", record.bridge],
    ["Table", `${record.table.id} ${record.table.name}`], ["Reason", `${record.reason} ${seen.why}`], ["The table is for", record.cause],
    ["From", identity(record.source)], ["To", identity(record.destination)], ["What", `${seen.protocol}, ${length} bytes`],
    ["Came in at", record.port ? `${record.port.number} ${record.port.name ?? ""}` : ""], ["Direction", record.direction],
    ["Rule", record.rule ? [record.rule.name, record.rule.match, record.rule.cookie].filter(Boolean).join(" · ") : ""],
    ["Stands for", record.repeated ? `${record.repeated} packets` : ""], ["Acknowledged", seen.acked ? "yes" : ""], ["Signature", record.signature],
  ])];
}

function contents({ record, bytes }, query) {
  const layers = Object.keys(record.packet).sort((a, b) => place(a) - place(b)).flatMap((name) => {
    const value = record.packet[name];
    if (Array.isArray(value)) return value.map((one) => [name, one]);
    return [[name, value]];
  });
  return [
    el("h3", { text: "Layers" }),
    el("div", { class: "layers" }, ...layers.map(([name, value]) => el("div", { class: "layer" }, el("h4", { text: name }), ...fields(value)))),
    el("h3", { text: "Bytes" }), el("pre", { tabindex: "0", "aria-label": "Bytes of the packet", text: bytes.join("\n") }),
    el("p", {}, el("a", { href: `/api/drop.pcapng?${query}`, download: true, text: "Download as pcapng" })),
    el("details", {}, el("summary", { text: "The whole record" }), el("pre", { tabindex: "0", "aria-label": "Record", text: JSON.stringify(record, null, 2) })),
  ];
}

const place = (name) => (LAYERS.indexOf(name) + 1 || LAYERS.length + 1);
function fields(value) {
  if (typeof value !== "object" || value === null) return [el("p", { text: String(value) })];
  return [facts(Object.entries(value).map(([name, one]) => [name, typeof one === "object" ? JSON.stringify(one) : one]))];
}

const AGREES = { same: "Measured now: it leads to the same table with the same registers.",
  table: "Measured now: it leads to the same table.", elsewhere: "Measured now: it does not lead to that table any more." };

function explained(told) {
  const made = [];
  if (told.remedy?.command) made.push(el("p", { text: "To let it pass (inferred, not run):" }), el("pre", { tabindex: "0", "aria-label": "Command", text: told.remedy.command }));
  if (told.remedy) made.push(el("p", { text: told.remedy.text }));
  for (const near of told.nearest) made.push(el("p", { class: "note", text: `Near: ${nearText(near)}` }));
  const way = told.way;
  if (way) {
    made.push(el("p", { text: AGREES[way.agreement] }));
    for (const text of way.inferred) made.push(el("p", { class: "note", text: `Inferred: ${text}` }));
    const { steps } = way;
    made.push(el("ol", { class: "way", "aria-label": "Way through the pipeline" }, ...steps.map((step, i) => el("li", { class: i === steps.length - 1 && !way.lets_through ? "end" : "" },
      el("strong", { text: `${step.bridge} table ${step.table} ${step.name}` }),
      el("div", { class: "note", text: stepText(step) })))));
    if (way.lets_through) made.push(el("p", { class: "good", text: "It would be let through now." }));
  }
  for (const text of told.not_known) made.push(el("p", { class: "note", text: `Not known: ${text}` }));
  return made.length ? made : [el("p", { class: "note", text: "Nothing more is known." })];
}

const stepText = (step) => step.ours ? "the flow of ryu_droplog, which sees what is dropped here"
  : step.priority === null ? step.actions.join(", ") || "no match"
    : `priority ${step.priority}, ${step.match || "everything"}: ${step.actions.join(", ") || "drop"}`;
function nearText(near) {
  const differs = near.differences.map((one) => one.text).join("; ");
  return `priority ${near.priority}, ${near.match}${differs ? `: ${differs}` : ""}`;
}
