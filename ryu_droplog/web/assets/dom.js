// Elements made without markup: text goes in by textContent alone, so that no name can become any.

const SVG = "http://www.w3.org/2000/svg";

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);
export const el = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

// What is no button of HTML and acts as one: by a click, Enter or the space bar.
export function pressable(node, act) {
  node.addEventListener("click", act);
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act();
  });
  return node;
}

// Sets a text only where it differs: a screen reader and the layout are left alone.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function facts(pairs) {
  const list = el("dl", { class: "facts" });
  for (const [name, value] of pairs) {
    if (value !== "" && value !== null && value !== undefined)
      list.append(el("dt", { text: name }), el("dd", { text: String(value) }));
  }
  return list;
}

const UNITS = ["", " k", " M", " G", " T"];
export function short(number) {
  let unit = 0;
  while (number >= 1000 && unit < UNITS.length - 1) { number /= 1000; unit += 1; }
  const digits = unit && number < 100 ? 1 : 0;
  return `${number.toFixed(digits)}${UNITS[unit]}`;
}
export const rate = (perSecond) =>
  perSecond === 0 ? "0/s" : perSecond < 10 ? `${perSecond.toFixed(1)}/s` : `${short(perSecond)}/s`;
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
export const timeOf = (text) => new Date(Date.parse(text)).toLocaleTimeString();
export const packets = (n) => `${n.toLocaleString()} ${n === 1 ? "packet" : "packets"}`;
export const withPort = (address, port) =>
  port === null || port === undefined ? address
    : address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
