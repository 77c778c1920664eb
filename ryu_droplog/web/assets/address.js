// What is looked at, kept in the address of the page, so that a view can be sent to somebody.

// A value in a filter line, as a shell would have it.
export const quoted = (value) =>
  /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'"'"'`)}'`;
// A name in which * ? [ are meant as they are.
export const literal = (name) => name.replace(/[*?[]/g, "[$&]");

export function read() {
  const query = new URLSearchParams(location.search);
  return {
    filter: query.get("filter") ?? "",
    since: query.get("since") ?? "",
    until: query.get("until") ?? "",
    drop: query.get("drop") ?? "",
    number: query.get("number") ?? "",
    view: location.hash.slice(1) || "now",
  };
}

export function query(state, names = ["filter", "since", "until"]) {
  const made = new URLSearchParams();
  for (const name of names) if (state[name]) made.set(name, state[name]);
  return made.toString();
}

export function write(state, replace) {
  const text = query(state, ["filter", "since", "until", "drop", "number"]);
  const address = `${location.pathname}${text ? `?${text}` : ""}#${state.view}`;
  history[replace ? "replaceState" : "pushState"](null, "", address);
}
