package sdboot

import (
	"context"
	"path/filepath"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/marked"
	"github.com/gitboot/gitboot/boot/sdboot/counter"
)

// Trace returns the entries, by names without a count, copies of what they name, and
// our part of loader.conf, as they are and as they are to be.
func (l *Loader) Trace(_ context.Context, m boot.Menu) ([]loader.Trace, error) {
	want, err := render(m, l.form)
	if err != nil {
		return nil, err
	}
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	have := map[string]string{}
	for _, f := range files {
		if f.shown() { // what is not yet is no more than a count
			have[f.ID] = loader.Sum(f.text)
		}
	}
	out, err := l.copies().Trace(m)
	if err != nil {
		return nil, err
	}
	for _, e := range want {
		out = append(out, loader.Trace{Name: filepath.Join(l.entries(), e.id+counter.Entry), One: true, Want: loader.Sum([]byte(e.text)), Have: have[e.id]})
	}
	c, err := l.conf()
	if err != nil {
		return nil, err
	}
	return append(out, loader.PartOf(c.Path, marked.Part(c.Linked(), settings(m)), c.Part(c.Settings()))), nil
}
