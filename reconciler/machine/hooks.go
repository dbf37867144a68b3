package machine

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/hooks/formerdisk"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/secret/keyring"
	"github.com/gitboot/gitboot/spec"
)

// HookInput is what the hooks of an image are rendered from, but for the
// image itself.
func (m *Machine) HookInput(want spec.Image) hooks.Input {
	return hooks.Input{
		Machine:  m.Name,
		Image:    want.Name,
		Tag:      want.Tag,
		Hooks:    want.Hooks,
		StateDir: m.Stage.Secrets(),
		TempDir:  m.Stage.Temp(),
		Open:     m.Keys.Open,
		Log:      m.Log,
	}
}

// Hooks renders the hooks of one image, as reconcile would onto its newest
// generation, and writes their layer as a tar archive. Nothing is staged;
// secrets that do not exist yet are made and kept, which is why it takes the
// stage's lock.
func (m *Machine) Hooks(ctx context.Context, want spec.Image, wait bool, w io.Writer) (diffID string, atBoot []string, err error) {
	lock, err := m.lock(ctx, wait)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	doc, err := state.LoadMachine(m.Stage.Dir())
	if err != nil {
		return "", nil, err
	}
	input := m.HookInput(want)
	if newest := doc.Images[want.Name].Newest(); newest != nil {
		manifest, err := m.Stage.Deployment(newest.Deployment)
		if err != nil {
			return "", nil, err
		}
		tree, err := inventory.OpenTree(m.Stage, manifest.Layers)
		if err != nil {
			return "", nil, err
		}
		defer tree.Close()
		input.Root = tree
	} else {
		m.Log.Info("the image is not staged yet: paths are not looked up in it", "image", want.Name)
	}
	return writeHooks(ctx, input, w)
}

func writeHooks(ctx context.Context, input hooks.Input, w io.Writer) (diffID string, atBoot []string, err error) {
	out, err := hooks.Render(ctx, input)
	if err != nil {
		return "", nil, err
	}
	defer out.Close()
	if out.Empty() {
		return "", nil, tar.NewWriter(w).Close()
	}
	layer, err := out.Open(ctx)
	if err != nil {
		return "", nil, err
	}
	defer layer.Close()
	_, err = io.Copy(w, layer)
	return out.DiffID, out.AtBoot, err
}

// maxNames bounds what is read of a layer's own list of its secrets.
const maxNames = 1 << 20

// Secrets returns the names of the secrets that the named generation holds in the
// clear, by what its layer says.
func (m *Machine) Secrets(name string) (names []string, err error) {
	doc, err := state.LoadMachine(m.Stage.Dir())
	if err != nil {
		return nil, err
	}
	found, err := doc.Find(name)
	if err != nil {
		return nil, err
	}
	manifest, err := m.Stage.Deployment(found.Deployment)
	if err != nil || manifest.Hooks == nil {
		return nil, err
	}
	tree, err := inventory.OpenTree(m.Stage, []deployment.Object{*manifest.Hooks})
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	list, err := tree.ReadFile(kind.SecretsFile, maxNames)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(list)) {
		if secret, ok := strings.CutPrefix(strings.TrimSpace(line), "secret "); ok {
			names = append(names, secret)
		}
	}
	return names, err
}

// NewKey makes the machine a private key if it has none, and returns those that
// it has then.
func (m *Machine) NewKey(ctx context.Context, wait bool) (keys []keyring.Key, err error) {
	lock, err := m.lock(ctx, wait) // the stage may be mounted read-only
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	return m.Keys.Create()
}

// observeFormerDisk finds out what would be taken out of an image that is
// staged already. Its layers are looked into once: what was found is in the
// inputs of its generation. Those of an older gitboot have none.
func (j *Job) observeFormerDisk(img *observedImage, newest *state.Generation) {
	if img.err != nil || newest == nil || newest.Inputs.ImageDigest != img.inputs.ImageDigest {
		return
	}
	was := newest.Inputs
	img.inputs.FormerDisk, img.inputs.Looked = was.FormerDisk, was.Looked
	if was.Looked == formerdisk.Version && was.Hooks == img.inputs.Hooks {
		return
	}
	m, err := j.Stage.Deployment(newest.Deployment)
	if err != nil {
		return // it is damaged, and staged again
	}
	if f, err := j.formerDisk(img, m.Layers); err == nil {
		img.inputs.FormerDisk, img.inputs.Looked = f.Key(), formerdisk.Version
	}
}

func (j *Job) formerDisk(img *observedImage, layers []deployment.Object) (formerdisk.Disk, error) {
	tree, err := inventory.OpenTree(j.Stage, layers)
	if err != nil {
		return formerdisk.Disk{}, err
	}
	defer tree.Close()
	return formerdisk.Find(tree, img.hooks.Hooks), nil
}

// planFormerDisk says what is taken out of images, and what their boot may
// wait for, as far as their layers are on the stage.
func (j *Job) planFormerDisk(ctx context.Context) error {
	for _, s := range j.plan.Stagings {
		img, newest := j.images[s.Image], j.doc.Images[s.Image].Newest()
		layers, err := j.stagedLayers(img)
		if err != nil {
			return err
		}
		if len(layers) == 0 && newest != nil && newest.Inputs.ImageDigest == img.inputs.ImageDigest {
			if m, err := j.Stage.Deployment(newest.Deployment); err == nil {
				layers = m.Layers
			}
		}
		if len(layers) == 0 || j.builds(s.Image) {
			continue
		}
		if f, err := j.formerDisk(img, layers); err == nil { // else it is damaged, and staged again
			j.plan.SetNotes(s.Image, f.Notes, f.Warnings)
		}
	}
	return ctx.Err()
}

// noteFormerDisk finds what is taken out of an image whose layers are staged,
// and says so.
func (a *application) noteFormerDisk(s *staging, root hooks.View) formerdisk.Disk {
	f := formerdisk.Find(root, s.image.hooks.Hooks)
	s.Inputs.FormerDisk, s.Inputs.Looked = f.Key(), formerdisk.Version
	a.plan.SetNotes(s.Image, f.Notes, f.Warnings)
	for _, note := range f.Notes {
		a.Log.Info(note, "image", s.Image)
	}
	for _, warning := range f.Warnings {
		a.Log.Warn(warning, "image", s.Image)
	}
	return f
}
