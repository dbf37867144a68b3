package sdboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
			have[f.ID] = sum(f.text)
		}
	}
	out, err := l.copies().Trace(m)
	if err != nil {
		return nil, err
	}
	for _, e := range want {
		out = append(out, loader.Trace{Name: filepath.Join(l.entries(), e.id+counter.Entry), One: true, Want: sum([]byte(e.text)), Have: have[e.id]})
	}
	c, err := l.conf()
	if err != nil {
		return nil, err
	}
	t := loader.Trace{Name: c.Path, Part: true, Want: sum(marked.Part(c.Linked(), settings(m)))}
	if c.Ours != nil {
		t.Have = sum(marked.Part(c.Linked(), c.Settings()))
	}
	return append(out, t), nil
}

// sum tells texts apart.
func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}
