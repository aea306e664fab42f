// What the page says of a shift: the definitions of wavevit.measure, for one image.
"use strict";

(function (root) {
  const explorer = (root.shiftExplorer = root.shiftExplorer || { models: {} });
  const CHANGED = 0.1; // from which relative change on a token counts as changed: token_turnover

  function distance(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
    return Math.sqrt(sum);
  }

  // Relative change of each token (D, h, w) after the whole-token roll that fits best, laid on the
  // grid of `after`: wavevit.measure.token_change.
  function tokenChange(before, after, [, channels, height, width]) {
    const cells = height * width;
    let energy = 0;
    for (const value of before) energy += value * value;
    const scale = Math.max(Math.sqrt(energy / cells), Number.MIN_VALUE);
    let best = null;
    for (let down = 0; down < height; down++)
      for (let right = 0; right < width; right++) {
        const changes = new Float64Array(cells); // at the place in `after`
        let total = 0;
        for (let r = 0; r < height; r++)
          for (let c = 0; c < width; c++) {
            const here = r * width + c;
            const there = ((r + down) % height) * width + ((c + right) % width);
            let sum = 0;
            for (let d = 0; d < channels; d++)
              sum += (after[d * cells + here] - before[d * cells + there]) ** 2;
            total += changes[here] = Math.sqrt(sum) / scale;
          }
        if (!best || total < best.total) best = { total, changes };
      }
    return best.changes;
  }

  const share = (changes) => changes.reduce((n, change) => n + (change > CHANGED), 0) / changes.length;

  function softmax(logits) {
    const top = Math.max(...logits);
    const powers = Array.from(logits, (value) => Math.exp(value - top));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / sum);
  }

  // The most probable classes: [{name, probability}].
  function ranking(logits, classes, count) {
    return softmax(logits)
      .map((probability, label) => ({ name: classes[label], probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count);
  }

  // One model and one photograph: the unmoved image is computed once.
  class Subject {
    constructor(asset, run, window) {
      Object.assign(this, { asset, run });
      const { offset, output } = this.compute(explorer.moved(window, [0, 0], "crop"));
      this.offset = offset;
      this.before = {
        first: output.first.data.slice(),
        last: output.last.data.slice(),
        embedding: output.embedding.data.slice(),
      };
    }

    compute(image) {
      const { view, offset } = explorer.aligned(image, this.asset.lock);
      return { offset, output: this.run(view) };
    }

    // ‖f(T_s x) − f(x)‖ over the mean distance between images, for a moved image.
    distance(image) {
      const { embedding } = this.compute(image).output;
      return distance(embedding.data, this.before.embedding) / this.asset.unit;
    }

    // All that the page shows of a moved image; `layer` is "first" or "last".
    look(image, layer) {
      const { offset, output } = this.compute(image);
      const { shape, data } = output[layer];
      const changes = tokenChange(this.before[layer], data, shape);
      return {
        offset,
        grid: shape.slice(2),
        changes,
        changed: share(changes),
        distance: distance(output.embedding.data, this.before.embedding) / this.asset.unit,
        classes: ranking(output.logits.data, this.asset.classes, 3),
      };
    }
  }

  Object.assign(explorer, { Subject, tokenChange });
})(typeof globalThis === "undefined" ? window : globalThis);
