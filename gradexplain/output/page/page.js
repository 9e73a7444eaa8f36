// Recomputes a derivation in the page. The formula comes as data, as a list of nodes and of contributions with their
// local derivatives as trees, and is interpreted: nothing of it is ever run or parsed as markup.
(() => {
  const data = JSON.parse(document.getElementById("derivation").textContent);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const number = new Map(data.nodes.map((node, k) => [node.name, k]).filter(([name]) => name !== null));

  function evaluate(tree, registers) {
    if (typeof tree === "number") return tree;
    if (typeof tree === "string") return registers[tree];
    return operation(tree[0])(...tree.slice(1).map(part => evaluate(part, registers)));
  }

  // What a rule computes: a function of rules.js, or its definition in simpler rules.
  function operation(rule) {
    return OPERATIONS[rule] ?? ((...inputs) => evaluate(data.definitions[rule],
      Object.fromEntries(inputs.map((input, k) => ["abcdefgh"[k], input]))));
  }

  function registersOf(node, values, out) {
    const found = { out };
    node.inputs.forEach((j, slot) => { found["abcdefgh"[slot]] = values[j]; });
    return found;
  }

  // Whether a node is where its derivative may not exist; for a choice, where its condition changes.
  function atKink(node, values) {
    const place = node.rule === "where" ? data.nodes[node.inputs[0]] : node;
    const kink = data.kinks[place.rule];
    return kink !== undefined && evaluate(kink, registersOf(place, values, NaN)) === 0;
  }

  function localDerivative(step, values) {
    const node = data.nodes[step.through], out = values[step.through];
    const local = evaluate(data.locals[step.local], registersOf(node, values, out));
    const inputs = node.inputs.map(j => Number(values[j]));
    if (node.rule in data.kinks && inputs.some(Number.isNaN)) return NaN;
    // Outside of its domain a function has no derivative, whatever the formula says.
    return Number.isNaN(out) && inputs.every(Number.isFinite) ? NaN : local;
  }

  // All values, gradients and contributions at a point.
  function compute(point) {
    const values = [], gradients = new Map([[data.objective, data.upstream]]), contributions = [];
    for (const node of data.nodes) {
      values.push(node.rule === "input" ? point.get(node.name)
        : node.rule === "constant" ? node.value
        : operation(node.rule)(...node.inputs.map(j => values[j])));
    }
    for (const row of data.backward) {
      let total = null;
      contributions.push(row.steps.map(step => {
        const node = data.nodes[step.through], upstream = gradients.get(step.through);
        const local = localDerivative(step, values);
        // What a branch that was not taken gives is 0, whatever it is multiplied by.
        const chosen = node.rule in data.kinks || node.rule === "where";
        const value = local === 0 && chosen && !atKink(node, values) ? 0 : upstream * local;
        total = total === null ? value : total + value;
        return { upstream, local, contribution: value };
      }));
      gradients.set(row.node, total);
    }
    return { values, gradients, contributions };
  }

  // A number in six significant digits, whole numbers in full.
  function show(value) {
    if (typeof value === "boolean") return value ? "True" : "False";
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
    if (value === 0) return "0";
    if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
    const [digits, power] = value.toExponential(5).split("e");
    const exponent = Number(power);
    if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
    return `${Number(digits)}e${exponent}`;
  }

  function put(element, value) {
    const text = show(value);
    if (element.textContent !== text) element.textContent = text;
    element.dataset.value = typeof value === "number" && Object.is(value, -0) ? "-0" : String(value);
  }

  const start = new Map(data.nodes.filter(node => node.rule === "input").map(node => [node.name, node.value]));
  const point = new Map(start);
  const live = all("[data-live]").map(element => ({ element, kind: element.dataset.live, node: number.get(element.dataset.of),
    row: Number(element.dataset.row), step: Number(element.dataset.step) }));
  const places = new Map(data.backward.map((row, k) => [row.node, k]));
  const graph = document.querySelector(".gradexplain-graph");
  const drawnNodes = graph ? all(".node", graph) : [], drawnEdges = graph ? all(".edge", graph) : [];
  const stepsOfEdges = matchEdges();
  // A node without a value gets one here.
  drawnNodes.forEach(element => all("text.caption", element).filter(text => text.textContent === "no value")
    .forEach(text => text.classList.add("value")));

  // For each edge in the picture the contribution that it stands for: its row and its place there.
  function matchEdges() {
    const used = new Map();
    return drawnEdges.map(edge => {
      const row = places.get(number.get(edge.dataset.from));
      if (row === undefined || !edge.querySelector(".formula")) return null;
      const through = number.get(edge.dataset.to), key = `${row} ${through}`, count = used.get(key) ?? 0;
      used.set(key, count + 1);
      const found = data.backward[row].steps.map((step, k) => [step, k]).filter(([step]) => step.through === through);
      return found[count] ? [row, found[count][1]] : null;
    });
  }

  let result = null;
  function refresh() {
    result = compute(point);
    const gradientOf = node => result.gradients.get(node) ?? 0;
    for (const { element, kind, node, row, step } of live) {
      put(element, kind === "value" ? result.values[node] : kind === "gradient" ? gradientOf(node)
        : result.contributions[row][step][kind]);
    }
    drawnNodes.forEach(element => {
      const node = number.get(element.dataset.node);
      all(".value", element).forEach(part => put(part, result.values[node]));
      all(".gradient", element).forEach(part => put(part, gradientOf(node)));
    });
    drawnEdges.forEach((element, k) => {
      if (stepsOfEdges[k] === null) return;
      const [row, step] = stepsOfEdges[k], entry = result.contributions[row][step];
      all(".upstream", element).forEach(part => put(part, entry.upstream));
      all(".local", element).forEach(part => put(part, entry.local));
      all(".contribution", element).forEach(part => put(part, entry.contribution));
    });
    const moved = [...start].some(([name, value]) => !Object.is(point.get(name), value));
    document.body.classList.toggle("moved", moved);
    const back = document.getElementById("back");
    if (back) back.disabled = !moved;
    // The mark keeps the order where names are written from right to left.
    const shown = [...point].map(([name, value]) => `${name}\u200e = ${value}`).join(", ");
    document.getElementById("now").textContent = shown;
    const link = document.getElementById("link");
    if (link) link.href = "#" + [...point].map(([name, value]) => `${encodeURIComponent(name)}=${value}`).join("&");
  }

  const controls = new Map(all(".control").map(element => [element.dataset.of, {
    slider: element.querySelector("input[type=range]"), field: element.querySelector("input[type=number]") }]));
  function setSlider(slider, value) {
    if (!(Number(slider.min) <= value && value <= Number(slider.max)) || slider.max === slider.min) {
      const room = Math.max(1, Math.abs(value));
      slider.min = value - room;
      slider.max = value + room;
      slider.step = room / 500;
    }
    slider.value = value;
  }
  function set(name, value, from = null) {
    point.set(name, value);
    const { slider, field } = controls.get(name);
    if (from !== slider) setSlider(slider, value);
    if (from !== field) field.value = value;
    slider.setAttribute("aria-valuetext", `${name} = ${show(value)}`);
  }
  for (const [name, { slider, field }] of controls) {
    for (const control of [slider, field]) {
      control.disabled = false;
      control.addEventListener("input", () => {
        const value = control.valueAsNumber;
        if (!Number.isFinite(value)) return;
        set(name, value, control);
        refresh();
      });
    }
    field.addEventListener("change", () => { field.value = point.get(name); });
  }
  function goBack() {
    for (const [name, value] of start) set(name, value);
    refresh();
  }
  document.getElementById("back")?.addEventListener("click", () => {
    goBack();
    // Some places, such as a frame without an address, do not let it be changed.
    try { history.replaceState(null, "", location.pathname + location.search); } catch { /* It stays. */ }
  });
  // The part of the address after # has values of inputs, as in #w=1.5&x=2.
  function readAddress() {
    for (const part of location.hash.slice(1).split("&")) {
      const [name, text] = part.split("=").map(piece => { try { return decodeURIComponent(piece); } catch { return ""; } });
      const value = Number(text);
      if (controls.has(name) && text && Number.isFinite(value)) set(name, value);
    }
    refresh();
  }

  // What differs at the point of the page from the numbers that were stored when it was made.
  function check() {
    const same = (one, other) => other === null || one === other || (!Number.isFinite(Number(one)) && !Number.isFinite(other))
      || Math.abs(one - other) <= 1e-9 * Math.max(1, Math.abs(other));
    const wrong = [];
    const compare = (label, found, stored) => {
      if (!stored.some(other => same(found, typeof other === "string" ? Number(other.replace("inf", "Infinity")) : other))) {
        wrong.push(label);
      }
    };
    data.check.values.forEach(([node, ...stored]) => compare(data.nodes[node].name, result.values[node], stored));
    data.check.gradients.forEach(([node, label, ...stored]) => compare(label, result.gradients.get(node) ?? 0, stored));
    const line = document.getElementById("differs");
    line.hidden = !wrong.length;
    line.textContent = wrong.length ? `${data.differs} ${wrong.slice(0, 10).join(", ")}${wrong.length > 10 ? " \u2026" : ""}` : "";
    document.body.dataset.check = wrong.length ? "differs" : "same";
  }
  if (data.live) {
    goBack();
    check();
    readAddress();
    window.addEventListener("hashchange", readAddress);
  }

  // Marking a node, its rows, and its way to the objective.
  const readers = data.nodes.map(() => []);
  data.nodes.forEach((node, k) => node.inputs.forEach(j => readers[j].push(k)));
  const rows = all("tr[data-of], .control");
  let pinned = null;
  function mark(name) {
    const onWay = new Set(), stack = number.has(name) ? [number.get(name)] : [];
    while (stack.length) {
      const node = stack.pop();
      if (!onWay.has(node)) {
        onWay.add(node);
        stack.push(...readers[node]);
      }
    }
    document.body.classList.toggle("marking", onWay.size > 0);
    for (const row of rows) row.classList.toggle("marked", row.dataset.of === name);
    for (const element of drawnNodes) {
      element.classList.toggle("marked", element.dataset.node === name);
      element.classList.toggle("way-node", onWay.has(number.get(element.dataset.node)));
    }
    for (const edge of drawnEdges) {
      edge.classList.toggle("way-edge", onWay.has(number.get(edge.dataset.from)) && onWay.has(number.get(edge.dataset.to)));
    }
  }
  function markable(element, name) {
    element.addEventListener("mouseenter", () => mark(name));
    element.addEventListener("mouseleave", () => mark(pinned));
    element.addEventListener("focusin", () => mark(name));
    element.addEventListener("focusout", () => mark(pinned));
    element.addEventListener("click", event => {
      if (event.target.closest("input, button, a")) return;
      pinned = pinned === name ? null : name;
      mark(pinned);
    });
  }
  drawnNodes.forEach(element => markable(element, element.dataset.node));
  rows.forEach(element => markable(element, element.dataset.of));
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") mark(pinned = null);
  });
})();
