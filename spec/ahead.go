package spec

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
)

// filesAhead is how many config files are read before the first of them is decoded, and
// sizeAhead how large one of them may be.
const filesAhead, sizeAhead = 32, 64 << 10

// A parsed file is its TOML as maps, and where its keys are.
type parsed struct {
	name, text string
	// unread is why it could not be read; then there is nothing else.
	unread error
	scan   *position.Scanner
	table  map[string]any
	wrong  error // with the TOML
}

// ahead reads and parses files, several side by side. Some may not fit.
func (l *loader) ahead(names []string) []parsed {
	files := make([]parsed, len(names))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		workers.Go(func() {
			for l.Ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				if files[i].open(l, names[i], sizeAhead) {
					files[i].parse(l.keys)
				}
			}
		})
	}
	workers.Wait()
	return files
}

// fits reports whether a file that was read ahead is what it would be if it were read now:
// those before it have left enough.
func (l *loader) fits(file parsed) bool {
	return file.unread == nil && len(file.text) <= l.bytes && file.scan.Keys <= l.keys
}

// parsed reads and parses a file. The library cannot be interrupted: what it does for a
// large document is left alone when the context ends.
func (l *loader) parsed(name string) (file parsed) {
	if !file.open(l, name, bounds.MaxConfig) {
		return file
	}
	done := make(chan parsed, 1)
	go func(file parsed, most int) {
		file.parse(most)
		done <- file
	}(file, l.keys)
	select {
	case file = <-done:
	case <-l.Ctx.Done():
	}
	return file
}

// open reads a file, up to what may still be read.
func (p *parsed) open(l *loader, name string, most int) bool {
	text, err := bounds.ReadFile(l.fleet.fsys, name, min(l.bytes, most))
	p.name, p.text, p.unread = name, string(text), err
	return err == nil
}

// parse finds the keys, at most so many, and has the library parse what is not too much.
func (p *parsed) parse(most int) {
	p.scan = position.Scan(p.name, p.text, most)
	if p.scan.Keys <= p.scan.Most && p.scan.Refused == "" {
		p.wrong = decodeTOML(p.text, &p.table)
	}
}

// decodeTOML turns the library's own failed assertions into errors: no
// document may end the agent.
func decodeTOML(text string, into *map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	_, err = toml.Decode(text, into)
	return err
}
