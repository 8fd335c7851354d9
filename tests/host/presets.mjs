// What the page makes of the preset of Segmented Projection: on a new node, after a choice, and in opened workflows.
//
//   node presets.mjs http://127.0.0.1:8188 WORKFLOW.json
//
// WORKFLOW.json: in the save format, with one Segmented Projection, saved before there were presets. Prints one line of
// JSON for each case: {name, preset, disabled, errors}; disabled: names of the widgets that are grey.
import { readFileSync } from 'node:fs'
import { withPage } from './page.mjs'

const [url, path] = process.argv.slice(2)
const KIND = 'ChunkyGAN_SegmentedProjection'

const look = page => page.evaluate(kind => {
  const node = app.graph.nodes.find(one => one.type === kind)
  return {
    preset: node.widgets.find(one => one.name === 'preset').value,
    disabled: node.widgets.filter(one => one.disabled).map(one => one.name),
  }
}, KIND)

const choose = (page, preset) => page.evaluate(([kind, chosen]) => {
  const widget = app.graph.nodes.find(one => one.type === kind).widgets.find(one => one.name === 'preset')
  widget.value = chosen
  widget.callback?.(chosen)
}, [KIND, preset])

const open = (page, workflow) => page.evaluate(async given => { await app.loadGraphData(given) }, workflow)

await withPage(url, async (page, errors) => {
  const tell = async name => console.log(JSON.stringify({ name, ...await look(page), errors }))
  await page.evaluate(kind => {
    app.graph.clear()
    app.graph.add(LiteGraph.createNode(kind))
  }, KIND)
  await tell('new')
  await choose(page, 'draft')
  await tell('chosen')
  await choose(page, 'custom')
  await tell('given up')
  const old = JSON.parse(readFileSync(path, 'utf8'))
  await open(page, old)
  await tell('saved before')
  await choose(page, 'good')
  const saved = await page.evaluate(() => app.graph.serialize())
  await choose(page, 'custom')
  await open(page, saved)
  await tell('saved with one')
})
