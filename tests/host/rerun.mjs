// Builds a graph by hand, with the widgets as the page fills them in, and runs it twice: as it is, then with another
// strength of its edit.
//
//   node rerun.mjs http://127.0.0.1:8188
//
// Prints one line of JSON for each run: {ended, message, executed}; executed: types of the nodes that weren't cached.
import { runGraph, withPage } from './page.mjs'

const build = page => page.evaluate(() => {
  app.graph.clear()
  const add = (type, inputs = {}) => {
    const node = LiteGraph.createNode(type)
    app.graph.add(node)
    for (const [name, [source, output]] of Object.entries(inputs))
      source.connect(source.outputs.findIndex(one => one.name === output), node, node.inputs.findIndex(one => one.name === name))
    return node
  }
  const portrait = add('ChunkyGAN_DemoPortrait')
  const generator = [add('ChunkyGAN_LoadStyleGAN'), 'generator']
  const image = [portrait, 'image']
  const segments = [add('ChunkyGAN_SegmentMasks', { image, label_map: [portrait, 'label_map'] }), 'segments']
  const projection = add('ChunkyGAN_SegmentedProjection', { generator, image, segments })
  projection.widgets.find(one => one.name === 'steps').value = 3 // that it runs, not how well it fits
  const edit = add('ChunkyGAN_LatentEdit', { generator, inversion: [projection, 'inversion'] })
  const composite = add('ChunkyGAN_PoissonComposite', { generator, inversion: [edit, 'inversion'] })
  add('PreviewImage', { images: [composite, 'image'] })
})

async function run(page) {
  const report = await runGraph(page)
  const types = await page.evaluate(ids => ids.map(id => app.graph.getNodeById(id).type), report.executed)
  console.log(JSON.stringify({ ...report, executed: types }))
}

await withPage(process.argv[2], async page => {
  await build(page)
  await run(page)
  await page.evaluate(() => {
    const edit = app.graph.nodes.find(one => one.type === 'ChunkyGAN_LatentEdit')
    edit.widgets.find(one => one.name === 'strength').value += 0.5
  })
  await run(page)
})
