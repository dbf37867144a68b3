package rehearsal

import (
	"fmt"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Staged finds what a name means of what is on a stage, and what boots it. The
// machine's own name, or none, is what would boot next by itself.
func Staged(book menu.Book, name string) (d Deployment, found state.Found, err error) {
	doc, err := state.LoadMachine(book.Stage.Dir())
	if err != nil {
		return d, found, err
	}
	if name == "" || name == doc.Machine && doc.Images[name] == nil {
		found, err = next(book, doc)
	} else {
		found, err = doc.Find(name)
	}
	if err != nil {
		return d, found, err
	}
	manifest, err := book.Stage.Deployment(found.Deployment)
	return Deployment{Manifest: manifest, Machine: doc.Machine, Object: book.Stage.ObjectPath}, found, err
}

// next is what boots by itself. Where that is the distribution's business, it is
// the first of what gitboot has.
func next(book menu.Book, doc *state.Machine) (state.Found, error) {
	shown, err := book.Shown()
	if err != nil {
		return state.Found{}, err
	}
	if id := book.Default(doc, shown); id != "" {
		return doc.Find(id)
	}
	for _, name := range doc.MenuOrder() {
		if newest := doc.Images[name].Newest(); newest != nil {
			return doc.Find(boot.EntryID(name, newest.Deployment))
		}
	}
	return state.Found{}, fmt.Errorf("the stage %s holds nothing that could boot; `gitboot reconcile --once` stages what the config repo wants", book.Stage.Dir())
}
