// A figure of plotly that hears from the first moment on, and shares plotly's script with all others.
//
// anywidget gives a widget's script two seconds to load; after that the widget is deaf for good. Plotly's own is 5 MB, and
// each of its figures brings and runs it anew: on a slow machine, or many figures at once, figures stay empty. This script
// is there at once; plotly's comes from a widget that all figures name, and runs once a page. What is said to a figure
// meanwhile is kept, and done before it is drawn.

const CHANGES = [
  "addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate", "removeLayoutProps", "removeTraceProps",
];

const scripts = (globalThis.scaling_models_plotly ??= new Map()); // by plotly's version: a new kernel brings the same one

function plotly(model) {
  const version = model.get("_plotly_version");
  if (!scripts.has(version)) {
    const loaded = model.widget_manager.get_model(model.get("_script_id")).then((script) => {
      const address = URL.createObjectURL(new Blob([script.get("text")], { type: "text/javascript" }));
      return import(/* webpackIgnore: true */ address).finally(() => URL.revokeObjectURL(address));
    });
    scripts.set(version, loaded);
    loaded.catch(() => scripts.delete(version));
  }
  return scripts.get(version);
}

function listen(model, waiting) {
  const heard = CHANGES.map((name) => [
    `change:_py2js_${name}`,
    () => {
      const said = model.get(`_py2js_${name}`);
      if (said !== null) waiting.push([name, said]);
    },
  ]);
  heard.push(["change:_widget_data", () => waiting.splice(0)]); // all of it anew: what was said before is in it
  for (const [event, note] of heard) model.on(event, note);
  return () => heard.forEach(([event, note]) => model.off(event, note));
}

function catchUp(FigureModel, model, waiting) {
  for (const [name, said] of waiting) {
    const then = { get: (key) => (key === `_py2js_${name}` ? said : model.get(key)) };
    new FigureModel(then, {})[`do_${name}`]();
  }
}

export default () => {
  let figure;
  return {
    initialize({ model }) {
      const waiting = [];
      const stop = listen(model, waiting);
      figure = plotly(model).then((script) => {
        stop();
        catchUp(script.FigureModel, model, waiting);
        const own = script.default();
        own.initialize({ model });
        return own;
      });
    },
    async render({ model, el }) {
      return (await figure).render({ model, el });
    },
  };
};
