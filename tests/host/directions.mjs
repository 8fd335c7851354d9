// What Latent Edit and Load Direction list in the page, on the canvas and in Nodes 2.0.
//
//   node directions.mjs http://127.0.0.1:8188 GENERATOR
//
// GENERATOR: an entry of Load StyleGAN that the demo's directions don't fit. Prints one line of JSON for each case:
// {name, direction, file, errors}; direction, file: what the lists offer; in Nodes 2.0 as the opened list shows it.
import { withPage } from './page.mjs'

const [url, generator] = process.argv.slice(2)
const EDIT = 'ChunkyGAN_LatentEdit', LOAD = 'ChunkyGAN_LoadDirection', LOADER = 'ChunkyGAN_LoadStyleGAN'

const look = page => page.evaluate(([edit, load]) => {
  const values = (kind, name) => app.graph.nodes.find(one => one.type === kind).widgets
    .find(one => one.name === name).options.values
  return { direction: values(edit, 'direction'), file: values(load, 'file') }
}, [EDIT, LOAD])

/** As a user sees it in Nodes 2.0: the entries of the list, once it is open. chosen: the one to click. */
const openList = async (page, kind, widget, chosen) => {
  const id = await page.evaluate(type => app.graph.nodes.find(one => one.type === type).id, kind)
  await page.locator(`[data-node-id="${id}"]`).getByRole('combobox', { name: widget, exact: true }).first().click()
  const list = page.getByTestId('widget-select-default-viewport')
  await list.waitFor({ timeout: 20_000 })
  const entries = (await list.getByRole('option').allInnerTexts()).map(text => text.trim())
  if (chosen) await list.getByRole('option', { name: chosen, exact: true }).click()
  else await page.keyboard.press('Escape')
  return entries
}

const choose = (page, name) => page.evaluate(([kind, chosen]) => {
  const widget = app.graph.nodes.find(one => one.type === kind).widgets[0]
  widget.value = chosen
  widget.callback?.(chosen)
}, [LOADER, name])

const settled = page => page.waitForTimeout(1500)

const nodes20 = (page, on) =>
  page.evaluate(chosen => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', chosen), on)

const build = page => page.evaluate(kinds => {
  app.graph.clear()
  for (const [index, kind] of kinds.entries()) {
    const node = LiteGraph.createNode(kind)
    node.pos = [index * 400, 0]
    app.graph.add(node)
  }
}, [LOADER, 'Reroute', LOAD, EDIT])

const connect = page => page.evaluate(() => {
  const [loader, reroute, load, edit] = app.graph.nodes
  loader.connect(0, reroute, 0)
  reroute.connect(0, load, 0)
  loader.connect(0, edit, 0)
})

const tell = (name, seen, errors) => console.log(JSON.stringify({ name, ...seen, errors }))

await withPage(url, async (page, errors) => {
  await build(page)
  tell('not connected', await look(page), errors)
  await connect(page)
  await settled(page)
  tell('demo', await look(page), errors)
  await choose(page, generator)
  await settled(page)
  tell('chosen', await look(page), errors)
  await page.evaluate(() => app.refreshComboInNodes())
  await settled(page)
  tell('after R', await look(page), errors)
  const saved = await page.evaluate(() => app.graph.serialize())
  await page.evaluate(() => app.graph.clear())
  await page.evaluate(async given => { await app.loadGraphData(given) }, saved)
  await settled(page)
  tell('opened', await look(page), errors)
})

await withPage(url, async (page, errors) => {
  const lists = async () => ({
    direction: await openList(page, EDIT, 'direction'),
    file: await openList(page, LOAD, 'file'),
  })
  await nodes20(page, true)
  await build(page)
  await connect(page)
  await settled(page)
  for (const [name, chosen] of [['nodes 2.0', generator], ['nodes 2.0, demo', 'demo (built in)']]) {
    await openList(page, LOADER, 'name', chosen)
    await settled(page)
    tell(name, await lists(), errors)
  }
  await nodes20(page, false)
})
