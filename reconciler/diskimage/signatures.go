package diskimage

import (
	"context"
	"path"
	"slices"

	"github.com/gitboot/gitboot/boot/presigned"
	"github.com/gitboot/gitboot/disk"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/lending"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// A Lent is a signature that was published for a machine.
type Lent struct {
	Image, Deployment string
	At                image.Document
}

// Lend publishes the signatures of what the machine boots, for one that cannot sign: with
// credentials from a file, "" for those by which it pulls.
func (p *Plan) Lend(ctx context.Context, credentials string) (all []Lent, err error) {
	r, programs, err := programs(ctx, p.config)
	if err != nil {
		return nil, err
	}
	for _, want := range p.wants {
		i := slices.IndexFunc(programs, func(one menu.Program) bool { return one.Image == want.Name })
		if i < 0 {
			continue
		}
		at, err := lending.Publish(ctx, &r.Machine.Find, want, programs[i], credentials)
		if err != nil {
			return all, err
		}
		all = append(all, Lent{want.Name, programs[i].Deployment, at})
	}
	return all, nil
}

// programs are what the machine boots, as it was staged.
func programs(ctx context.Context, cfg reconciler.Config) (*reconciler.Reconciler, []menu.Program, error) {
	r, err := reconciler.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	doc, err := state.LoadMachine(cfg.Stage)
	if err != nil {
		return nil, nil, err
	}
	all, err := menu.Programs(ctx, &r.Machine.Book, *cfg.Location, doc)
	return r, all, err
}

// addSignatures has the stage keep the signatures of what is on the disk, as if the
// machine had got them.
func (p *preparation) addSignatures(ctx context.Context, t *disk.Tree) error {
	_, all, err := programs(ctx, p.Config)
	if err != nil {
		return err
	}
	dir := path.Join(stagePath, stage.SignedDir)
	t.Folders = append(t.Folders, tree.Folder{Path: dir, Mode: 0o700})
	for _, one := range all {
		s, err := lending.Of(one)
		if err != nil {
			return err
		}
		text, err := s.Encode()
		if err != nil {
			return err
		}
		t.Files = append(t.Files, tree.File{Path: path.Join(dir, presigned.File(s.Body)), Text: text, Mode: 0o600})
	}
	return nil
}
