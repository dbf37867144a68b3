package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/lending"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/placement"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// A signer signs what another machine boots, which has the certificate and not the key.
// It stages that as the machine does, in a folder of its own, and publishes the signatures
// beside the images. A machine that is as it was costs no request, until an image of it is
// due to be looked up.
type signer struct {
	*Reconciler
	of    *wanted.Wanted
	other string
}

// signing is the trigger of such runs.
const signing = "signing"

// A SigningError is why nothing was signed for a machine.
type SigningError struct {
	Machine string
	err     error
}

func (e *SigningError) Error() string {
	return "sign what machine " + e.Machine + " boots: " + e.err.Error()
}
func (e *SigningError) Unwrap() error { return e.err }

// sign signs for all machines that name this one, and returns what was signed now. What has
// failed is left alone for a while by who is patient; update looks for new digests, though
// no schedule is due. It is done with the workshop's lock, as it is written to its folder:
// who has that lock already does so later.
func sign(ctx context.Context, r *Reconciler, w *wanted.Wanted, update, patient bool) (signed []state.Signing, err error) {
	before, err := r.Machine.Stage.Workshop().SignedFor()
	if err != nil || len(before)+len(w.Wants.Signs) == 0 {
		return nil, err
	}
	lock, err := r.Machine.Stage.LockWorkshop(ctx, false)
	if errors.Is(err, stage.ErrLocked) {
		r.log.Info("another run builds; what other machines boot is signed at the next look")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	err = unsign(r, w, before)
	for _, name := range w.Wants.Signs {
		news, failure := signer{r, w, name}.noted(ctx, update, patient)
		if ctx.Err() != nil {
			return signed, context.Cause(ctx)
		}
		if failure != nil {
			err = errors.Join(err, &SigningError{name, failure})
		}
		if len(news.Images) > 0 {
			signed = append(signed, news)
		}
	}
	return signed, err
}

// unsign forgets what was signed for machines that do not name this one any more, but for
// what hooks have generated once, which would be something else if it was made again.
func unsign(r *Reconciler, w *wanted.Wanted, before []string) (err error) {
	for _, name := range before {
		if !slices.Contains(w.Wants.Signs, name) {
			err = errors.Join(err, forget(r.Machine.Stage.Workshop(), name))
		}
	}
	return err
}

// forget removes what was signed for a machine.
func forget(shop stage.Workshop, name string) error {
	staged := shop.SigningStage(name)
	return errors.Join(
		removeBut(filepath.Base(staged.Secrets()), staged.Dir()),
		removeBut(filepath.Base(staged.Dir()), shop.Signing(name)))
}

// removeBut removes what is in a folder, but for what has that name.
func removeBut(name, dir string) error {
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		if e.Name() != name {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// noted signs for the machine, and notes how that went. It returns what is new.
func (s signer) noted(ctx context.Context, update, patient bool) (news state.Signing, err error) {
	dir := s.Machine.Stage.Dir()
	doc, err := state.LoadSigning(dir, s.other)
	if err != nil {
		return news, err
	}
	if rests := doc.Failure.Rests(s.of.Revision.Hash, s.Machine.Now()); rests != nil && patient {
		return news, rests
	}
	was := maps.Clone(doc.Images)
	err = s.run(ctx, doc, update)
	if ctx.Err() != nil || errors.Is(err, stage.ErrLocked) { // somebody else is at it
		return news, ctx.Err()
	}
	now := s.Machine.Now().UTC()
	if doc.Failure = doc.Failure.Tried(err, s.of.Revision.Hash, s.Machine.Name+"/"+s.other, now); err == nil && doc.Revision != s.of.Revision.Hash {
		doc.Revision, doc.Time = s.of.Revision.Hash, now
	}
	news = *doc
	news.Images = maps.Clone(doc.Images)
	maps.DeleteFunc(news.Images, func(image string, one state.Signed) bool { return was[image] == one })
	return news, errors.Join(err, doc.Save(dir))
}

// run stages what the machine boots, and publishes what is not yet of its signatures.
func (s signer) run(ctx context.Context, doc *state.Signing, update bool) error {
	r, wants, err := s.machine(ctx)
	if err != nil {
		return err
	}
	result, err := r.Machine.Run(ctx, wants, machine.Request{Trigger: signing, Update: update, Anyway: true}, nil)
	if err := errors.Join(err, imageErrors(result.Failed)); err != nil {
		return err
	}
	staged, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err != nil {
		return err
	}
	programs, err := menu.Programs(ctx, &r.Machine.Book, *r.Machine.Book.Location, staged)
	if err != nil {
		return err
	}
	if doc.Images == nil {
		doc.Images = map[string]state.Signed{}
	}
	for _, p := range programs {
		i := slices.IndexFunc(wants.Wants.Images, func(img spec.Image) bool { return img.Name == p.Image })
		if i < 0 || doc.Images[p.Image].Body == p.Body() {
			continue
		}
		at, err := lending.Publish(ctx, &r.Machine.Find, wants.Wants.Images[i], p, r.config.SigningCredentials)
		if err != nil {
			return err
		}
		doc.Images[p.Image] = state.Signed{Deployment: p.Deployment, Body: p.Body(), Ref: at.Ref, Tag: at.Tag, Time: s.Machine.Now().UTC()}
		s.log.Info("signed what another machine boots", "machine", s.other, "image", p.Image, "deployment", plan.Short(p.Deployment), "tag", at.String())
	}
	return nil
}

// machine is the other one, as it is made here: what it publishes boots nothing, and so
// waits for nobody's approval, for no test, and for no time of day.
func (s signer) machine(ctx context.Context) (*Reconciler, *wanted.Wanted, error) {
	repo := s.Repo
	repo.Machine, repo.MachineFrom, repo.Known = s.other, "signed_by of "+s.other, nil
	shop := s.Machine.Stage.Workshop()
	dir, staged := shop.Signing(s.other), shop.SigningStage(s.other).Dir()
	repo.Memory = filepath.Join(staged, stage.WantsFile)
	found, err := repo.Of(ctx, s.of)
	if err != nil {
		return nil, nil, err
	}
	wants := *found.Wants
	wants.Approve, wants.Windows, wants.BootTest, wants.Recovery = spec.Approve{}, nil, nil, nil
	found.Wants = &wants
	at, err := placement.Of(&wants)
	if err != nil {
		return nil, nil, err
	}
	cfg := s.config
	cfg.SigningKeys = cmp.Or(cfg.SigningKeys, filepath.Join(s.Machine.Stage.Dir(), stage.KeysDir))
	signer, err := secureboot.Folder(cfg.SigningKeys).Signer()
	if err == nil && !signer.CanSign() {
		err = fmt.Errorf("%s has the certificate and not the key: put db.key there, or name the folder that has it with signing_keys in agent.toml", cfg.SigningKeys)
	}
	if err != nil {
		return nil, nil, err
	}
	cfg.Machine, cfg.Stage, cfg.Boot, cfg.Arch = s.other, staged, filepath.Join(dir, "esp"), at.Arch
	cfg.Booted, cfg.BootID, cfg.Notices, cfg.MachineID = "", "", "", ""
	cfg.Location, cfg.BootLocation = &at.Stage, &at.Boot
	if err := makeESP(cfg.Boot, at.Arch); err != nil {
		return nil, nil, err
	}
	r, err := New(cfg)
	return r, found, err
}

// makeESP makes the folder in which a boot loader would find its entries.
func makeESP(dir, arch string) error {
	program := filepath.Join(dir, "EFI/systemd/systemd-boot"+uki.Suffix(arch)+".efi")
	if _, err := os.Stat(program); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(program, nil, 0o600) // that it is there is enough: nothing starts it
}

// sign signs beside all else, once the workshop has published what is new.
func (p *poll) sign(ctx context.Context, ask Ask, job *workshop.Job) {
	if p.signing {
		p.resign = p.resign.and(ask)
		return
	}
	w := p.latest
	if ctx.Err() != nil || w == nil {
		return
	}
	_, pushed, _ := job.Made()
	p.signing, p.resign = true, nil
	p.beside(func() func(context.Context) {
		signed, err := sign(ctx, p.Reconciler, w, ask.Update || len(pushed) > 0, !ask.Person)
		return func(ctx context.Context) {
			p.signing, p.worked = false, p.worked || len(signed) > 0
			p.teller.signed(w.Revision, signed, err)
			p.outcome[event.Signing] = err
			if again := p.resign; again != nil {
				p.sign(ctx, *again, job)
			}
		}
	})
}

// signed tells what was signed, and of what cannot be, once.
func (t *teller) signed(r source.Revision, signed []state.Signing, err error) {
	t.fails(subject{part: event.Signing}, r, err)
	for _, s := range signed {
		for _, image := range slices.Sorted(maps.Keys(s.Images)) {
			t.tell(event.Event{Kind: event.Signed, Part: event.Signing, Trigger: signing, Revision: r.Hash, Image: image, Reason: fmt.Sprintf("image %s was signed for machine %s: deployment %s", image, s.Machine, plan.Short(s.Images[image].Deployment))})
		}
	}
}
