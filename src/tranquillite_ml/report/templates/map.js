
"use strict";
(() => {
  const began = performance.now();
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const canvas = byId("map"), tip = byId("tip");
  const pen = canvas.getContext("2d");
  const base = document.createElement("canvas"), ground = base.getContext("2d"); // the cells; rings come on top
  const nCells = data.cells.length;

  // Outlines in metres east and north of the centre; corners of cell i are from[i] … from[i + 1].
  const from = new Uint32Array(nCells + 1);
  data.shapes.forEach((shape, i) => { from[i + 1] = from[i] + shape.length / 2; });
  const xs = new Float64Array(from[nCells]), ys = new Float64Array(from[nCells]);
  const cx = new Float64Array(nCells), cy = new Float64Array(nCells);
  const edge = { west: Infinity, east: -Infinity, south: Infinity, north: -Infinity };
  data.shapes.forEach((shape, i) => {
    let x = 0, y = 0;
    for (let k = from[i]; k < from[i + 1]; k++) {
      x += shape[2 * (k - from[i])] * data.step_m;
      y += shape[2 * (k - from[i]) + 1] * data.step_m;
      xs[k] = x; ys[k] = y;
      cx[i] += x / (from[i + 1] - from[i]); cy[i] += y / (from[i + 1] - from[i]);
      edge.west = Math.min(edge.west, x); edge.east = Math.max(edge.east, x);
      edge.south = Math.min(edge.south, y); edge.north = Math.max(edge.north, y);
    }
  });
  const radius = Math.hypot(xs[0] - cx[0], ys[0] - cy[0]);

  // ------------------------------------------------------------------ words, as maps.py writes them

  const count = (v) => (v > 0 && v < 1e-4 ? "under 0.0001" : String(v));
  const chance = (p) => {
    if (p === null) return "not given";
    if (p > 0 && p < 1e-3) return "under 0.1 %";
    return p > 0.999 && p < 1 ? "over 99.9 %" : (100 * p).toFixed(1).replace(/\.0$/, "") + " %";
  };
  const span = (map, i) =>
    map.lower[i] === null || map.upper[i] === null ? "not given" : map.lower[i] + " to " + map.upper[i];
  const percent = (level) => (level === null ? "Interval" : +(100 * level).toPrecision(6) + " % interval");
  const place = (i) =>
    (data.centre[1] + cy[i] / data.m_per_degree[1]).toFixed(4) + ", " +
    (data.centre[0] + cx[i] / data.m_per_degree[0]).toFixed(4);
  const numbers = (i) => {
    const lines = [["Expected count", count(map.expected[i])]];
    if (data.reference !== null)
      lines.push(["Expected by " + data.reference, map.reference === null ? "not given" : count(map.reference[i])]);
    return lines.concat([
      [percent(map.level), span(map, i)],
      ["Chance of at least one", chance(map.prob[i])],
      ["Area", data.area[i] + " km²"],
    ]);
  };
  const make = (tag, text, parent) => {
    const element = document.createElement(tag);
    if (text !== null) element.textContent = text;
    parent.append(element);
    return element;
  };

  // ------------------------------------------------------------------ state

  let map = data.maps[0], scale = null, members = [], chosen = -1, pointed = -1, goal = null;
  const view = { x: 0, y: 0, zoom: 1 };
  let width = 0, height = 0, dots = 1, fit = 1;

  function show() {
    const category = +byId("category").value, period = +byId("period").value;
    map = data.maps.find((m) => m.category === category && m.period === period);
    const hours = data.periods[period].hours;
    const named = data.categories[category] + ", " + data.periods[period].label +
      (hours === null ? "" : " (" + hours + " hours)");
    byId("caption").textContent = map ? named : "There is no forecast for " + named;
    map = map || { expected: [], prob: [], lower: [], upper: [], reference: null, level: null };
    scale = data.scales[category];
    members = scale.colours.map(() => []);
    map.expected.forEach((value, i) => {
      let level = 0;
      while (level < scale.edges.length && value >= scale.edges[level]) level++;
      members[level].push(i);
    });
    legend();
    table();
    cell(false);
    paint();
  }

  function legend() {
    const list = byId("legend");
    list.replaceChildren();
    for (let level = scale.colours.length - 1; level >= 0; level--) {
      const item = make("li", null, list);
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("aria-hidden", "true");
      const fill = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      fill.setAttribute("width", "100%"); fill.setAttribute("height", "100%");
      fill.setAttribute("fill", scale.colours[level]);
      swatch.append(fill); item.append(swatch);
      make("span", scale.labels[level], item);
      const n = members[level].length;
      make("span", n.toLocaleString("en") + (n === 1 ? " cell" : " cells"), item).className = "n";
    }
  }

  function ranked() {
    const order = map.expected.map((_, i) => i);
    return order.sort((a, b) => map.expected[b] - map.expected[a] || a - b);
  }

  function table() {
    const body = byId("top");
    body.replaceChildren();
    byId("interval").textContent = percent(map.level);
    ranked().slice(0, 20).forEach((i, rank) => {
      const row = make("tr", null, body);
      make("td", rank + 1, row);
      const head = make("th", null, row);
      head.scope = "row";
      const button = make("button", data.cells[i], head);
      button.type = "button";
      button.title = "Select on the map";
      button.addEventListener("click", () => select(i));
      for (const [, text] of numbers(i)) make("td", text, row);
    });
  }

  function cell(aloud) {
    const list = byId("cell"), seen = chosen >= 0 && map.expected.length > 0;
    list.hidden = !seen;
    byId("none").hidden = seen;
    list.replaceChildren();
    if (!seen) { byId("spoken").textContent = ""; return; }
    for (const [name, text] of [["Cell", data.cells[chosen]], ...numbers(chosen), ["Centre (lat, lng)", place(chosen)]]) {
      const line = make("div", null, list);
      make("dt", name, line);
      make("dd", text, line);
    }
    const said = numbers(chosen).map(([name, text]) => name + " " + text).join("; ");
    if (aloud) byId("spoken").textContent = "Cell " + data.cells[chosen] + ". " + said;
  }

  function unpoint() {
    pointed = -1;
    tip.hidden = true;
  }

  function select(i) {
    chosen = i;
    goal = null;
    cell(true);
    if (intoView()) paint(); else draw();
  }

  // ------------------------------------------------------------------ drawing

  const toX = (x) => (x - view.x) * fit * view.zoom + width / 2;
  const toY = (y) => height / 2 - (y - view.y) * fit * view.zoom;

  function trace(to, i) {
    for (let k = from[i]; k < from[i + 1]; k++)
      if (k === from[i]) to.moveTo(toX(xs[k]), toY(ys[k])); else to.lineTo(toX(xs[k]), toY(ys[k]));
    to.closePath();
  }

  function ring(i, outer, inner) {
    if (i < 0) return;
    pen.beginPath(); trace(pen, i); pen.lineJoin = "round";
    pen.strokeStyle = "#000"; pen.lineWidth = outer; pen.stroke();
    pen.strokeStyle = "#fff"; pen.lineWidth = inner; pen.stroke();
  }

  function paint() {
    ground.setTransform(dots, 0, 0, dots, 0, 0);
    ground.clearRect(0, 0, width, height);
    const size = 2 * radius * fit * view.zoom;
    members.forEach((cells, level) => {
      ground.beginPath();
      for (const i of cells) {
        const x = toX(cx[i]), y = toY(cy[i]);
        if (x > -size && x < width + size && y > -size && y < height + size) trace(ground, i);
      }
      ground.fillStyle = scale.colours[level];
      ground.fill();
      ground.strokeStyle = size > 10 ? "#0c1118" : scale.colours[level];
      ground.lineWidth = size > 10 ? 1 : 0.6;
      ground.stroke();
    });
    draw();
  }

  function draw() {
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(base, 0, 0);
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    ring(pointed, 4, 2);
    ring(chosen, 7, 3.5);
    scaleBar();
  }

  function scaleBar() {
    const most = width / 4 / (fit * view.zoom), power = 10 ** Math.floor(Math.log10(most));
    const metres = [5, 2, 1].map((m) => m * power).find((m) => m <= most) || power;
    pen.font = "13px system-ui, sans-serif";
    const long = metres * fit * view.zoom, text = metres >= 1000 ? metres / 1000 + " km" : metres + " m";
    pen.fillStyle = "rgba(12,17,24,.8)";
    pen.fillRect(6, height - 32, Math.max(long, pen.measureText(text).width) + 16, 28);
    pen.fillStyle = "#fff";
    pen.fillRect(14, height - 12, long, 3);
    pen.fillText(text, 14, height - 17);
  }

  function resize() {
    const box = canvas.getBoundingClientRect();
    if (box.width === 0) return;
    width = box.width; height = box.height; dots = window.devicePixelRatio || 1;
    for (const one of [canvas, base]) { one.width = Math.round(width * dots); one.height = Math.round(height * dots); }
    fit = 0.95 * Math.min(width / (edge.east - edge.west), height / (edge.north - edge.south));
    if (view.zoom === 1) centre();
    paint();
  }

  // ------------------------------------------------------------------ moving

  function centre() {
    view.x = (edge.east + edge.west) / 2;
    view.y = (edge.north + edge.south) / 2;
  }

  function zoomBy(factor, x = width / 2, y = height / 2) {
    const before = fit * view.zoom;
    view.zoom = Math.min(40, Math.max(1, view.zoom * factor));
    const after = fit * view.zoom;
    view.x += (x - width / 2) * (1 / before - 1 / after);
    view.y -= (y - height / 2) * (1 / before - 1 / after);
    if (view.zoom === 1) centre();
    unpoint();
    canvas.classList.toggle("zoomed", view.zoom > 1);
    paint();
  }

  function intoView() {
    if (view.zoom === 1) return false;
    const x = toX(cx[chosen]), y = toY(cy[chosen]), margin = Math.min(140, width / 3, height / 3);
    const near = Math.min(Math.max(x, margin), width - margin), high = Math.min(Math.max(y, margin), height - margin);
    view.x += (x - near) / (fit * view.zoom);
    view.y -= (y - high) / (fit * view.zoom);
    return x !== near || y !== high;
  }

  function step(dx, dy) {
    if (chosen < 0) { select(ranked()[0]); return; }
    // Walk along a straight line across the hexagons, not along their zigzag.
    const axis = dx ? "x" : "y";
    if (!goal || goal.axis !== axis) goal = { axis, at: dx ? cy[chosen] : cx[chosen] };
    const kept = goal;
    let best = -1, least = Infinity;
    for (let i = 0; i < nCells; i++) {
      const along = dx ? (cx[i] - cx[chosen]) * dx : (cy[i] - cy[chosen]) * dy;
      if (along < 0.3 * radius) continue;
      const cost = along + 2.5 * Math.abs((dx ? cy[i] : cx[i]) - kept.at);
      if (cost < least) { least = cost; best = i; }
    }
    if (best >= 0) { select(best); goal = kept; }
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowRight: () => step(1, 0), ArrowLeft: () => step(-1, 0), ArrowUp: () => step(0, 1), ArrowDown: () => step(0, -1),
      Home: () => select(ranked()[0]), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5),
      0: () => zoomBy(1e-9), Escape: () => { chosen = -1; cell(false); draw(); },
    };
    if (!Object.hasOwn(keys, event.key) || map.expected.length === 0) return;
    event.preventDefault();
    unpoint();
    keys[event.key]();
  });

  function cellAt(x, y) {
    const wx = (x - width / 2) / (fit * view.zoom) + view.x, wy = (height / 2 - y) / (fit * view.zoom) + view.y;
    let best = -1, least = 4 * radius * radius;
    for (let i = 0; i < nCells; i++) {
      const d = (cx[i] - wx) ** 2 + (cy[i] - wy) ** 2;
      if (d < least) { least = d; best = i; }
    }
    if (best < 0) return -1;
    let inside = false;
    for (let k = from[best], j = from[best + 1] - 1; k < from[best + 1]; j = k++)
      if (ys[k] > wy !== ys[j] > wy && wx < ((xs[j] - xs[k]) * (wy - ys[k])) / (ys[j] - ys[k]) + xs[k]) inside = !inside;
    return inside ? best : -1;
  }

  function point(event) {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const found = map.expected.length ? cellAt(x, y) : -1;
    if (found !== pointed) {
      pointed = found;
      tip.replaceChildren();
      if (found >= 0) {
        make("b", data.cells[found], tip);
        for (const [name, text] of numbers(found)) make("span", name + ": " + text, tip);
      }
      draw();
    }
    tip.hidden = found < 0;
    if (found < 0) return;
    tip.style.left = Math.max(4, Math.min(x + 16, width - tip.offsetWidth - 4)) + "px";
    tip.style.top = Math.max(4, y + 16 + tip.offsetHeight > height ? y - tip.offsetHeight - 12 : y + 16) + "px";
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, moved: false };
    if (view.zoom > 1) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held || view.zoom === 1) { point(event); return; }
    const dx = event.clientX - held.x, dy = event.clientY - held.y;
    if (!held.moved && Math.hypot(dx, dy) < 5) return;
    view.x -= dx / (fit * view.zoom); view.y += dy / (fit * view.zoom);
    held = { x: event.clientX, y: event.clientY, moved: true };
    unpoint();
    paint();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (held && !held.moved) { point(event); if (pointed >= 0) select(pointed); }
    held = null;
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("pointerleave", () => { held = null; unpoint(); draw(); });
  canvas.addEventListener("wheel", (event) => {
    // A page must still scroll: the wheel zooms with Ctrl, or once the map has the focus.
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomBy(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  byId("zoom-in").addEventListener("click", () => zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
  byId("zoom-all").addEventListener("click", () => zoomBy(1e-9));
  byId("category").addEventListener("change", show);
  byId("period").addEventListener("change", show);
  byId("choices").addEventListener("submit", (event) => event.preventDefault());
  byId("choices").hidden = byId("columns").hidden = false;
  resize();
  show();
  new ResizeObserver(() => { if (canvas.getBoundingClientRect().width !== width) resize(); }).observe(canvas);
  canvas.dataset.drawnInMs = Math.round(performance.now() - began);
})();
