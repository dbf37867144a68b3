package position

// Lines returns the lines of a TOML document's keys by their dotted names, for
// messages about other files than the config repo's, as far as there are most of
// them. Keys in arrays have none.
func Lines(document string, most int) map[string]int {
	lines := map[string]int{}
	d := Scan("", document, most).Root.doc
	var note func(table uint32)
	note = func(table uint32) {
		first := d.nodes[table].first + d.nodes[table].items
		for key := first; key < first+d.nodes[table].keys; key++ {
			lines[d.key(key)] = int(d.nodes[key].line)
			note(key)
		}
	}
	note(root)
	return lines
}
