// Runs a model that experiments/explorer/graph.py wrote: its operations, its names.
//
// A plan is made once, when the model is loaded. Operations that only move data become index maps
// and are joined, so that a chain of them costs one gather at most; what depends on weights alone
// is computed then and there; everything else becomes a step that writes into its own array. Sums
// are taken in double precision, results are kept in single precision, as PyTorch keeps them.
"use strict";

(function (root) {
  const explorer = (root.shiftExplorer = root.shiftExplorer || { models: {} });

  const size = (shape) => shape.reduce((product, side) => product * side, 1);

  function strides(shape) {
    const steps = new Array(shape.length);
    let step = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      steps[axis] = step;
      step *= shape[axis];
    }
    return steps;
  }

  // The map of an output shape whose entry at (i, j, …) is read at offset(axis, i) + offset(…) …
  function mapOf(shape, offset) {
    let map = Int32Array.of(0);
    shape.forEach((side, axis) => {
      const next = new Int32Array(map.length * side);
      for (let i = 0, at = 0; i < map.length; i++)
        for (let j = 0; j < side; j++, at++) next[at] = map[i] + offset(axis, j);
      map = next;
    });
    return map;
  }

  // erfc by Chebyshev fitting, relative error below 1.2e-7 everywhere (Press et al., Numerical
  // Recipes, section 6.2).
  const ERFC = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
    1.48851587, -0.82215223, 0.17087277,
  ];
  function gelu(x) {
    const z = Math.abs(x) * Math.SQRT1_2;
    const t = 1 / (1 + 0.5 * z);
    let sum = 0;
    for (let i = ERFC.length - 1; i >= 0; i--) sum = sum * t + ERFC[i];
    const tail = 0.5 * t * Math.exp(-z * z + sum); // of the normal distribution beyond |x|
    return x * (x > 0 ? 1 - tail : tail);
  }

  // A loop each: an engine makes one loop over many functions slow.
  const UNARY = {
    gelu: (out, a) => { for (let i = 0; i < out.length; i++) out[i] = gelu(a[i]); },
    sqrt: (out, a) => { for (let i = 0; i < out.length; i++) out[i] = Math.sqrt(a[i]); },
    rsqrt: (out, a) => { for (let i = 0; i < out.length; i++) out[i] = 1 / Math.sqrt(a[i]); },
    abs: (out, a) => { for (let i = 0; i < out.length; i++) out[i] = Math.abs(a[i]); },
    square: (out, a) => { for (let i = 0; i < out.length; i++) out[i] = a[i] * a[i]; },
  };
  // `at` and `bt`: where each entry reads.
  const BINARY = {
    add: (out, a, at, b, bt) => { for (let i = 0; i < out.length; i++) out[i] = a[at[i]] + b[bt[i]]; },
    sub: (out, a, at, b, bt) => { for (let i = 0; i < out.length; i++) out[i] = a[at[i]] - b[bt[i]]; },
    mul: (out, a, at, b, bt) => { for (let i = 0; i < out.length; i++) out[i] = a[at[i]] * b[bt[i]]; },
    div: (out, a, at, b, bt) => { for (let i = 0; i < out.length; i++) out[i] = a[at[i]] / b[bt[i]]; },
  };

  // out[m, n] = Σ_k a[m, k] b[n, k] for `batch` such products: two rows by four columns at a time.
  function multiply(a, b, out, batch, rows, columns, depth) {
    for (let p = 0; p < batch; p++) {
      const a0 = p * rows * depth;
      const b0 = p * columns * depth;
      const o0 = p * rows * columns;
      let m = 0;
      for (; m + 1 < rows; m += 2) {
        const r0 = a0 + m * depth;
        const r1 = r0 + depth;
        let n = 0;
        for (; n + 3 < columns; n += 4) {
          const c0 = b0 + n * depth;
          const c1 = c0 + depth;
          const c2 = c1 + depth;
          const c3 = c2 + depth;
          let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
          for (let k = 0; k < depth; k++) {
            const x = a[r0 + k];
            const y = a[r1 + k];
            const u = b[c0 + k];
            const v = b[c1 + k];
            const w = b[c2 + k];
            const z = b[c3 + k];
            s00 += x * u; s01 += x * v; s02 += x * w; s03 += x * z;
            s10 += y * u; s11 += y * v; s12 += y * w; s13 += y * z;
          }
          const at = o0 + m * columns + n;
          out[at] = s00; out[at + 1] = s01; out[at + 2] = s02; out[at + 3] = s03;
          const below = at + columns;
          out[below] = s10; out[below + 1] = s11; out[below + 2] = s12; out[below + 3] = s13;
        }
        for (; n < columns; n++) {
          let s0 = 0, s1 = 0;
          for (let k = 0, c = b0 + n * depth; k < depth; k++) {
            s0 += a[r0 + k] * b[c + k];
            s1 += a[r1 + k] * b[c + k];
          }
          out[o0 + m * columns + n] = s0;
          out[o0 + (m + 1) * columns + n] = s1;
        }
      }
      for (; m < rows; m++)
        for (let n = 0; n < columns; n++) {
          let sum = 0;
          for (let k = 0, r = a0 + m * depth, c = b0 + n * depth; k < depth; k++)
            sum += a[r + k] * b[c + k];
          out[o0 + m * columns + n] = sum;
        }
    }
  }

  class Plan {
    constructor(input) {
      this.values = { x: { shape: input, data: new Float32Array(size(input)), map: null } };
      this.steps = [];
    }

    constant(name, shape, data) {
      this.values[name] = { shape, data, map: null, constant: true };
    }

    // The same data under another shape and, perhaps, in another order.
    view(name, source, shape, map) {
      const { data, constant } = source;
      let joined = map || source.map;
      if (map && source.map) joined = map.map((at) => (at < 0 ? -1 : source.map[at]));
      this.values[name] = { shape, data, map: joined, constant };
    }

    result(name, shape, inputs, compute) {
      const data = new Float32Array(size(shape));
      const constant = inputs.every((value) => value.constant);
      this.values[name] = { shape, data, map: null, constant };
      if (constant) compute(data);
      else this.steps.push(() => compute(data));
      return data;
    }

    // A value's data in order; -1 in a map is a zero.
    solid(value) {
      if (!value.map) return value.data;
      if (!value.ordered) {
        const { map, data: from } = value;
        const to = (value.ordered = new Float32Array(map.length));
        const gather = () => {
          for (let i = 0; i < to.length; i++) to[i] = map[i] < 0 ? 0 : from[map[i]];
        };
        if (value.constant) gather();
        else this.steps.push(gather);
      }
      return value.ordered;
    }

    // Where each entry of the output reads a value that is broadcast to it; null: in order.
    broadcast(value, shape) {
      const count = size(shape);
      if (size(value.shape) === count) return { data: this.solid(value), map: null };
      const missing = shape.length - value.shape.length;
      const step = strides(value.shape);
      const map = mapOf(shape, (axis, i) => {
        const own = axis - missing;
        return own < 0 || value.shape[own] === 1 ? 0 : i * step[own];
      });
      return { data: this.solid(value), map };
    }

    add(operation, name, inputs, attributes, shape) {
      const values = inputs.map((input) => this.values[input]);
      const [x, y] = values;
      if (operation in UNARY) return this.unary(UNARY[operation], name, x, shape);
      if (operation in BINARY) return this.binary(BINARY[operation], name, values, shape);
      switch (operation) {
        case "reshape":
          return this.view(name, x, shape, null);
        case "permute": {
          const step = strides(x.shape);
          return this.view(name, x, shape, mapOf(shape, (axis, i) => i * step[attributes[0][axis]]));
        }
        case "take": {
          const [along, indices] = attributes;
          const step = strides(x.shape);
          const place = (axis, i) => (axis === along ? indices[i] : i) * step[axis];
          return this.view(name, x, shape, mapOf(shape, place));
        }
        case "expand":
          return this.view(name, x, shape, this.broadcast({ shape: x.shape, data: x.data }, shape).map);
        case "cat":
          return this.cat(name, values, attributes[0], shape);
        case "conv2d":
          return this.conv2d(name, x, y, attributes, shape);
        case "matmul":
          return this.matmul(name, x, y, shape);
        case "mean":
          return this.moments(name, x, attributes[0], null, shape);
        case "var":
          return this.moments(name, x, attributes[0], attributes[1], shape);
        case "layer_norm":
          return this.layerNorm(name, values, attributes[0], shape);
        case "softmax":
          return this.softmax(name, x, shape);
        default:
          throw new Error(`runner.js does not know the operation ${operation}`);
      }
    }

    unary(loop, name, x, shape) {
      const from = this.solid(x);
      this.result(name, shape, [x], (out) => loop(out, from));
    }

    binary(loop, name, values, shape) {
      const order = Int32Array.from({ length: size(shape) }, (_, i) => i);
      const [a, b] = values.map((value) => this.broadcast(value, shape));
      const maps = [a.map || order, b.map || order];
      this.result(name, shape, values, (out) => loop(out, a.data, maps[0], b.data, maps[1]));
    }

    cat(name, values, axis, shape) {
      const inner = size(shape.slice(axis));
      const outer = size(shape.slice(0, axis));
      const parts = values.map((value) => this.solid(value));
      this.result(name, shape, values, (out) => {
        let start = 0;
        for (const part of parts) {
          const run = part.length / outer;
          for (let o = 0; o < outer; o++)
            for (let i = 0; i < run; i++) out[o * inner + start + i] = part[o * run + i];
          start += run;
        }
      });
    }

    // a (…, M, K) with b (…, K, N); equal leading axes.
    matmul(name, x, y, shape) {
      const [rows, columns] = shape.slice(-2);
      const depth = x.shape[x.shape.length - 1];
      const step = strides(y.shape);
      const last = y.shape.length - 1;
      const turned = [...y.shape.slice(0, -2), columns, depth];
      const axes = [...step.slice(0, -2), step[last], step[last - 1]];
      this.view(`${name} turned`, y, turned, mapOf(turned, (axis, i) => i * axes[axis]));
      const a = this.solid(x);
      const b = this.solid(this.values[`${name} turned`]);
      const batch = size(shape.slice(0, -2));
      this.result(name, shape, [x, y], (out) => multiply(a, b, out, batch, rows, columns, depth));
    }

    // Every window of the image as a row (a gather), times the kernels; groups are a batch.
    conv2d(name, x, kernel, [stride, padding, groups], shape) {
      const [, channels, height, width] = x.shape;
      const [kernels, depth, kh, kw] = kernel.shape;
      const [, , rows, columns] = shape;
      const map = new Int32Array(groups * rows * columns * depth * kh * kw);
      let at = 0;
      for (let g = 0; g < groups; g++)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < columns; c++)
            for (let d = 0; d < depth; d++)
              for (let i = 0; i < kh; i++)
                for (let j = 0; j < kw; j++) {
                  const row = r * stride[0] - padding[0] + i;
                  const column = c * stride[1] - padding[1] + j;
                  const inside = row >= 0 && row < height && column >= 0 && column < width;
                  const channel = g * (channels / groups) + d;
                  map[at++] = inside ? (channel * height + row) * width + column : -1;
                }
      const taps = depth * kh * kw;
      this.view(`${name} windows`, x, [groups, rows * columns, taps], map);
      const a = this.solid(kernel);
      const b = this.solid(this.values[`${name} windows`]);
      const each = kernels / groups;
      const compute = (out) => multiply(a, b, out, groups, each, rows * columns, taps);
      this.result(name, shape, [x, kernel], compute);
    }

    // Means over some axes, or with `correction` the variances.
    moments(name, x, axes, correction, shape) {
      const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
      const order = [...kept, ...axes];
      const step = strides(x.shape);
      const sides = order.map((axis) => x.shape[axis]);
      this.view(`${name} rows`, x, sides, mapOf(sides, (i, at) => at * step[order[i]]));
      const from = this.solid(this.values[`${name} rows`]);
      const count = size(axes.map((axis) => x.shape[axis]));
      this.result(name, shape, [x], (out) => {
        for (let i = 0; i < out.length; i++) {
          let sum = 0;
          for (let j = 0; j < count; j++) sum += from[i * count + j];
          const mean = sum / count;
          if (correction === null) {
            out[i] = mean;
            continue;
          }
          let squares = 0;
          for (let j = 0; j < count; j++) squares += (from[i * count + j] - mean) ** 2;
          out[i] = squares / (count - correction);
        }
      });
    }

    layerNorm(name, values, eps, shape) {
      const [from, weight, bias] = values.map((value) => this.solid(value));
      const width = shape[shape.length - 1];
      this.result(name, shape, values, (out) => {
        for (let start = 0; start < out.length; start += width) {
          let sum = 0;
          let squares = 0;
          for (let j = 0; j < width; j++) sum += from[start + j];
          const mean = sum / width;
          for (let j = 0; j < width; j++) squares += (from[start + j] - mean) ** 2;
          const gain = 1 / Math.sqrt(squares / width + eps);
          for (let j = 0; j < width; j++)
            out[start + j] = (from[start + j] - mean) * gain * weight[j] + bias[j];
        }
      });
    }

    softmax(name, x, shape) {
      const from = this.solid(x);
      const width = shape[shape.length - 1];
      this.result(name, shape, [x], (out) => {
        for (let start = 0; start < out.length; start += width) {
          let top = -Infinity;
          let sum = 0;
          for (let j = 0; j < width; j++) top = Math.max(top, from[start + j]);
          for (let j = 0; j < width; j++) sum += out[start + j] = Math.exp(from[start + j] - top);
          for (let j = 0; j < width; j++) out[start + j] /= sum;
        }
      });
    }
  }

  // IEEE half precision, two bytes each, low byte first.
  function halves(bytes) {
    const out = new Float32Array(bytes.length / 2);
    for (let i = 0; i < out.length; i++) {
      const bits = bytes[2 * i] | (bytes[2 * i + 1] << 8);
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      const value = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
      out[i] = bits & 0x8000 ? -value : value;
    }
    return out;
  }

  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // An asset as (view of an image) → {first, last, embedding, logits}; the arrays are written
  // again by the next call.
  function load(asset) {
    const { graph } = asset;
    const plan = new Plan(graph.input);
    const weights = halves(bytesOf(asset.weights));
    let start = 0;
    for (const [name, shape] of graph.weights) {
      plan.constant(name, shape, weights.subarray(start, (start += size(shape))));
    }
    const filters = new Float32Array(bytesOf(asset.constants).buffer);
    start = 0;
    for (const [name, shape] of graph.constants) {
      plan.constant(name, shape, filters.subarray(start, (start += size(shape))));
    }
    for (const [operation, name, inputs, attributes, shape] of graph.nodes) {
      plan.add(operation, name, inputs, attributes, shape);
    }
    const [first, last, embedding, logits] = graph.outputs.map((name) => {
      const value = plan.values[name];
      return { shape: value.shape, data: plan.solid(value) };
    });
    const input = plan.values.x.data;
    return (view) => {
      input.set(view);
      for (const step of plan.steps) step();
      return { first, last, embedding, logits };
    };
  }

  Object.assign(explorer, { load, bytesOf, gelu });
  explorer.choose = (choice) => {
    explorer.choice = choice;
  };
  explorer.addModel = (asset) => {
    explorer.models[asset.name] = asset;
  };
})(typeof globalThis === "undefined" ? window : globalThis);
