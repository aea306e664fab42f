// The page: what the reader does becomes a state, and the state is shown.
"use strict";

(function (root) {
  const explorer = root.shiftExplorer;
  const { MARGIN, WINDOW } = explorer;
  const FILES = (document.currentScript && document.currentScript.src.replace(/[^/]*$/, "")) || "";
  const { photographs: PHOTOGRAPHS, models: MODELS } = explorer.choice; // names; names with titles
  const FINE = 1 / 8;
  const CURVE_STEP = 1 / 2;

  const find = (selector) => document.querySelector(selector);
  const photographs = (explorer.photographs = {});
  explorer.addPhotograph = (asset) => {
    photographs[asset.name] = { ...asset, pixels: explorer.bytesOf(asset.grey) };
  };

  const state = {
    photo: PHOTOGRAPHS[0],
    models: ["vit", "vit-phase_lock"],
    kind: "crop",
    layer: "first",
    shift: [0, 0], // down, right: pixels that the content moved
  };
  explorer.state = state;

  const loading = {};
  function script(path) {
    return (loading[path] ??= new Promise((done, failed) => {
      const element = document.createElement("script");
      element.src = FILES + path;
      element.onload = done;
      element.onerror = () => failed(new Error(`${path} could not be loaded`));
      document.head.append(element);
    }));
  }

  const runs = {};
  const windows = {};
  const subjects = {};
  const curves = {}; // by subject, kind and line: {shift: distance}

  function subjectOf(side) {
    const { photo } = state;
    const name = state.models[side];
    const asset = explorer.models[name];
    if (!asset || !photographs[photo]) return null;
    runs[name] ??= explorer.load(asset);
    windows[photo] ??= explorer.windowOf(photographs[photo]);
    return (subjects[`${name} ${photo}`] ??= new explorer.Subject(asset, runs[name], windows[photo]));
  }

  // ---------------------------------------------------------------- words

  const number = (value) => String(Math.round(value * 1000) / 1000).replace("-", "−");
  const pixels = (value) => `${number(Math.abs(value))} px`;
  const nameOf = (label) => label.replace("immunohistochemistry", "stained tissue");

  function inWords([down, right]) {
    const parts = [];
    if (right) parts.push(`${pixels(right)} to the ${right > 0 ? "right" : "left"}`);
    if (down) parts.push(`${pixels(down)} ${down > 0 ? "down" : "up"}`);
    return parts.length ? `moved ${parts.join(" and ")}` : "has not moved";
  }

  function sentence(looks) {
    const start = `The photograph ${inWords(state.shift)}.`;
    return [start].concat(looks.map((look, side) => {
      const model = explorer.models[state.models[side]].title;
      const tokens = Math.round(100 * look.changed);
      const { name, probability } = look.classes[0];
      const right = name === state.photo ? "right" : "wrong";
      return `${model}: ${tokens} % of its tokens changed by more than a tenth; the embedding changed ` +
        `by ${look.distance.toFixed(3)} of the distance between two images; its class is ` +
        `“${nameOf(name)}” (${Math.round(100 * probability)} %), which is ${right}.`;
    })).join(" ");
  }

  // ---------------------------------------------------------------- showing

  function buildModel(section) {
    const side = Number(section.dataset.side);
    section.innerHTML = `
      <label class="ex-choose"><span>${side ? "Right" : "Left"} model</span>
        <select>${MODELS.map(([name, title]) => `<option value="${name}">${title}</option>`).join("")}</select>
      </label>
      <canvas class="ex-tokens" role="img"></canvas>
      <div class="ex-numbers">
        <p class="ex-distance"><output>0.000</output><span>change of embedding;<br> 1 = another image</span></p>
        <p class="ex-changed"><output>0 %</output><span>of <b></b> tokens<br> changed</span></p>
      </div>
      <p class="ex-grid"></p>
      <ol class="ex-classes"></ol>
      <p class="ex-about ex-small"></p>`;
    section.querySelector("select").addEventListener("change", (event) => {
      state.models[side] = event.target.value;
      refresh();
    });
  }

  function marked({ offset, before, asset }, grid) {
    const cell = explorer.CROP / grid[0];
    return offset.map((amount) => {
      const index = Math.round((explorer.CROP / 2 - cell / 2 - amount) / cell);
      return ((index % grid[0]) + grid[0]) % grid[0];
    });
  }

  function showModel(side, subject, image, look) {
    const section = find(`.ex-model.side${side}`);
    const { lock, about, parameters, macs, top1, test_crops: crops } = subject.asset;
    const colour = getComputedStyle(section).getPropertyValue("--mine").trim();
    const canvas = section.querySelector(".ex-tokens");
    explorer.drawTokens(canvas, image, look, lock, marked(subject, look.grid), colour);
    const percent = Math.round(100 * look.changed);
    const cells = look.grid[0] * look.grid[1];
    canvas.setAttribute("aria-label", `The crop with ${cells} tokens, ${percent} % of them changed`);
    section.querySelector(".ex-distance output").value = look.distance.toFixed(3);
    section.querySelector(".ex-changed output").value = `${percent} %`;
    section.querySelector(".ex-changed b").textContent = cells;
    const [down, right] = look.offset;
    section.querySelector(".ex-grid").textContent = lock
      ? `Grid follows the content: ${number(right)} px right, ${number(down)} px down.`
      : "Grid fixed to the frame.";
    section.querySelector(".ex-classes").innerHTML = look.classes
      .map(({ name, probability }) => `<li class="${name === state.photo ? "right" : ""}">
        <span class="ex-name">${nameOf(name)}${name === state.photo ? " ✓" : ""}</span>
        <span class="ex-bar"><i style="width:${(100 * probability).toFixed(1)}%"></i></span>
        <span class="ex-percent">${Math.round(100 * probability)} %</span></li>`)
      .join("");
    section.querySelector(".ex-about").textContent = `${about} ${Math.round(parameters / 1e3)} k ` +
      `parameters, ${(macs / 1e6).toFixed(1)} MMAC; right for ${top1.toFixed(1)} % of ${crops} crops.`;
  }

  function showControls() {
    for (const side of [0, 1]) find(`.ex-model.side${side} select`).value = state.models[side];
    find(`#ex-photographs input[value="${state.photo}"]`).checked = true;
    find(`input[name="ex-kind"][value="${state.kind}"]`).checked = true;
    const [down, right] = state.shift;
    for (const [field, value] of [["#ex-down", down], ["#ex-right", right]])
      if (Number(find(field).value) !== value) find(field).value = value;
  }

  let spoken;
  function say(words) {
    clearTimeout(spoken); // a reader of the screen hears where the image came to rest
    spoken = setTimeout(() => (find("#ex-says").textContent = words), 350);
  }

  function show() {
    const { shift, kind, layer, photo } = state;
    const picture = photographs[photo] && photographs[photo].element;
    if (picture && picture.complete) explorer.drawStage(find("#ex-stage"), picture, shift, kind);
    showControls();
    const both = [0, 1].map(subjectOf);
    if (both.includes(null)) return;
    const image = explorer.moved(windows[photo], shift, kind);
    const looks = both.map((subject) => subject.look(image, layer));
    looks.forEach((look, side) => showModel(side, both[side], image, look));
    showCurve(looks);
    say(sentence(looks));
    explorer.looks = looks;
    find("#explorer").dataset.shown = [photo, ...state.models, kind, layer, ...shift].join(" ");
  }

  let asked = false;
  function refresh() {
    const wanted = [`photographs/${state.photo}.js`, ...state.models.map((name) => `models/${name}.js`)];
    Promise.all(wanted.map(script)).then(() => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        show();
      });
    }, (error) => (find("#ex-says").textContent = `${error.message}.`));
  }

  // ---------------------------------------------------------------- the curve

  // The line through the present shift, along the axis that has the larger part of it.
  function line() {
    const [down, right] = state.shift;
    const axis = Math.abs(down) > Math.abs(right) ? 0 : 1;
    const at = (s) => (axis ? [down, s] : [s, right]);
    return { axis, at, other: state.shift[1 - axis], here: state.shift[axis] };
  }

  function curveOf(side) {
    const { axis, other } = line();
    const key = [state.models[side], state.photo, state.kind, axis, other].join(" ");
    return (curves[key] ??= {});
  }

  // Whole multiples of 8 first, then of 4, 2, 1, ½: the curve grows finer.
  const PLACES = [];
  for (let step = 8; step >= CURVE_STEP; step /= 2)
    for (let s = -MARGIN; s <= MARGIN; s += step) if (!PLACES.includes(s)) PLACES.push(s);

  function showCurve(looks) {
    const { axis, other, here } = line();
    looks.forEach((look, side) => (curveOf(side)[here] = look.distance));
    const words = axis ? ["right", "down"] : ["down", "right"];
    explorer.drawCurve(find("#ex-curve"), {
      curves: [0, 1].map((side) =>
        Object.entries(curveOf(side)).map(([s, r]) => [Number(s), r]).sort((a, b) => a[0] - b[0])),
      here,
      values: looks.map((look) => look.distance),
      label: `pixels moved ${words[0]}${other ? `, while ${number(other)} px ${words[1]}` : ""}`,
      limit: MARGIN,
    });
    think();
  }

  // The rest of the curve, in the pauses.
  let thinking = null;
  function think() {
    clearTimeout(thinking);
    thinking = setTimeout(() => {
      const { at } = line();
      const next = PLACES.find((s) => [0, 1].some((side) => !(s in curveOf(side))));
      if (next === undefined || explorer.dragging) return;
      const image = explorer.moved(windows[state.photo], at(next), state.kind);
      [0, 1].forEach((side) => (curveOf(side)[next] ??= subjectOf(side).distance(image)));
      showCurve(explorer.looks);
    }, explorer.dragging ? 200 : 0);
  }

  // ---------------------------------------------------------------- doing

  function moveTo(shift) {
    const held = shift.map((value) => Math.max(-MARGIN, Math.min(MARGIN, value)) || 0);
    if (held[0] === state.shift[0] && held[1] === state.shift[1]) return;
    state.shift = held;
    refresh();
  }

  function dragging(canvas) {
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = { x: event.clientX, y: event.clientY, shift: state.shift };
      canvas.setPointerCapture(event.pointerId);
      explorer.dragging = true;
      canvas.classList.add("held");
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const scale = WINDOW / canvas.clientWidth;
      const step = find("#ex-fine").checked || event.shiftKey ? FINE : 1;
      const snap = (value) => Math.round(value / step) * step;
      const moved = [event.clientY - from.y, event.clientX - from.x].map((d) => snap(d * scale));
      moveTo(from.shift.map((value, axis) => value + moved[axis]));
    });
    const end = () => {
      from = null;
      explorer.dragging = false;
      canvas.classList.remove("held");
      if (explorer.looks) think();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  }

  const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  function keys(event) {
    if (event.key === "Escape") return moveTo([0, 0]);
    const way = KEYS[event.key];
    if (!way || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = event.shiftKey ? FINE : 1;
    moveTo(state.shift.map((value, axis) => value + step * way[axis]));
  }

  // photo=coffee&left=vit&right=alias_free&move=roll&right_px=3&down_px=0, also behind a # in the
  // address: a link to what is seen.
  function take(text) {
    const given = new URLSearchParams(text);
    const known = MODELS.map(([name]) => name);
    if (PHOTOGRAPHS.includes(given.get("photo"))) state.photo = given.get("photo");
    ["left", "right"].forEach((side, i) => {
      if (known.includes(given.get(side))) state.models[i] = given.get(side);
    });
    if (["crop", "roll"].includes(given.get("move"))) state.kind = given.get("move");
    const shift = ["down_px", "right_px"].map((key) => Number(given.get(key)) || 0);
    state.shift = shift.map((value) => Math.max(-MARGIN, Math.min(MARGIN, value)));
    refresh();
  }

  async function start() {
    const board = find("#explorer");
    board.hidden = false;
    document.querySelectorAll(".ex-model").forEach(buildModel);
    await Promise.all(PHOTOGRAPHS.map((name) => script(`photographs/${name}.js`)));
    for (const name of PHOTOGRAPHS) {
      const asset = photographs[name];
      const label = document.createElement("label");
      label.title = `${asset.title} (${asset.credit})`;
      label.innerHTML = `<input type="radio" name="ex-photo" value="${name}">
        <img alt="${asset.title}" src="${asset.picture}" width="128" height="128">`;
      find("#ex-photographs").append(label);
      asset.element = label.querySelector("img");
      asset.element.addEventListener("load", () => name === state.photo && refresh());
    }
    find("#ex-photographs").addEventListener("change", (event) => {
      state.photo = event.target.value;
      refresh();
    });
    board.addEventListener("change", ({ target }) => {
      if (target.name === "ex-kind") state.kind = target.value;
      if (target.name === "ex-layer") state.layer = target.value;
      if (target.name === "ex-kind" || target.name === "ex-layer") refresh();
    });
    for (const [field, axis] of [["#ex-down", 0], ["#ex-right", 1]])
      find(field).addEventListener("input", (event) => {
        const value = Math.round(Number(event.target.value) / FINE) * FINE;
        if (Number.isFinite(value)) moveTo(state.shift.map((old, i) => (i === axis ? value : old)));
      });
    find("#ex-reset").addEventListener("click", () => moveTo([0, 0]));
    board.querySelectorAll("[data-try]").forEach((button) =>
      button.addEventListener("click", () => take(button.dataset.try)));
    dragging(find("#ex-stage"));
    find("#ex-stage").addEventListener("keydown", keys);
    const pen = find("#ex-ramp").getContext("2d");
    find("#ex-ramp").width = 120;
    find("#ex-ramp").height = 1;
    for (let i = 0; i < 120; i++) {
      pen.fillStyle = explorer.heat(i / 119);
      pen.fillRect(i, 0, 1, 1);
    }
    root.addEventListener("resize", refresh);
    root.addEventListener("hashchange", () => take(root.location.hash.slice(1)));
    const dark = root.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", refresh);
    new MutationObserver(refresh).observe(document.body, { attributeFilter: ["data-theme"] });
    take(root.location.hash.slice(1) || find("[data-try]").dataset.try);
  }

  start();
})(window);
