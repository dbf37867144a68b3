package origin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/schedule"
	"github.com/gitboot/gitboot/spec"
)

// A Finder finds images. Its settings are the machine's; what an image declares
// itself comes before them.
type Finder struct {
	// Options are for all images; an image's mirrors, platform and so on are
	// added to them.
	Options image.Options
	// ImageTime is when fetching an image is given up, 0 for twelve hours.
	ImageTime time.Duration
	// Update looks for new digests whether or not the schedule is due.
	Update bool
	// Lookups go on beside runs, nil where they are waited for.
	Lookups *Lookups
	// Now is the clock, and Uptime how long ago the machine was started, nil for
	// long ago. Unset says why the clock is not believed, "" if it is: as long as
	// it is not, no schedule is due.
	Now    func() time.Time
	Uptime func() time.Duration
	Unset  string
}

// CheckClock finds out whether the clock is believed, by times at which something
// is known to have happened.
func (f *Finder) CheckClock(known ...time.Time) {
	clock := schedule.Clock{Now: f.Now(), Up: 24 * time.Hour, Newest: slices.MaxFunc(append(known, time.Time{}), time.Time.Compare)}
	if f.Uptime != nil {
		clock.Up = f.Uptime()
	}
	f.Unset = clock.Doubt()
}

// Due reports whether a schedule has come round since it was last followed.
func (f *Finder) Due(text string, last time.Time) bool {
	return f.Unset == "" && plan.Due(text, last, f.Now())
}

// find finds the digest that an image's declaration stands for now. A
// registry is asked only when the declaration is new, when its update
// schedule is due, or when the run was told to; an archive is opened only
// when its file changed. The opened image is returned where it was opened.
func (f *Finder) find(ctx context.Context, known state.Origin, want spec.Image, trust cosign.Policy, files fs.FS) (state.Origin, *image.Image, error) {
	declared, err := Declaration(want)
	if err != nil {
		return known, nil, err
	}
	fresh := known.Declared == declared && known.Digest != "" && known.Signed == trust.Keys.Sum()
	switch {
	case want.Pull != nil:
		if fresh && !f.Update && !f.Due(want.Pull.Update, known.Checked) {
			return known, nil, nil
		}
		found, err := f.resolvePull(ctx, known, fresh, want.Pull, trust)
		if err != nil {
			return known, nil, err
		}
		found.Declared = declared
		return found, nil, nil
	case want.Archive != nil:
		return f.resolveArchive(ctx, known, fresh, declared, want, files)
	}
	return known, nil, fmt.Errorf("image %q is built, and comes from nowhere else", want.Name)
}

// resolvePull asks a registry what an image is now, and whether it is signed if
// that is not known of it.
func (f *Finder) resolvePull(ctx context.Context, known state.Origin, fresh bool, want *spec.Pull, trust cosign.Policy) (state.Origin, error) {
	opts := f.PullOptions(want)
	named, err := image.Resolve(ctx, want.Ref, opts)
	if err != nil {
		return known, err
	}
	found := state.Origin{Digest: named.Digest, Within: named.Within, Tag: named.Tag, Signed: trust.Keys.Sum(), Checked: f.Now().UTC().Truncate(time.Second)}
	if found.Signed == "" || fresh && found.Digest == known.Digest {
		return found, nil
	}
	return found, InTime(ctx, f.ImageTime, func(ctx context.Context) error {
		return image.Verify(ctx, want.Ref, found.Digest, trust, opts)
	})
}

func (f *Finder) resolveArchive(ctx context.Context, known state.Origin, fresh bool, declared string, want spec.Image, files fs.FS) (state.Origin, *image.Image, error) {
	mark, err := image.Fingerprint(archiveSource(want.Archive, files))
	if err != nil {
		return known, nil, err
	}
	if fresh && known.Fingerprint == mark {
		return known, nil, nil
	}
	opened, err := f.openNow(ctx, want, "", files)
	if err != nil {
		return known, nil, err
	}
	return state.Origin{Declared: declared, Digest: opened.Digest, Fingerprint: mark}, opened, nil
}

func (f *Finder) openNow(ctx context.Context, want spec.Image, digest string, files fs.FS) (*image.Image, error) {
	opts := f.Options
	if want.Pull != nil {
		opts = f.PullOptions(want.Pull)
	}
	if want.LayerSize > 0 {
		opts.Expansion = image.Expansion{Size: want.LayerSize, Declared: true}
	}
	var opened *image.Image
	err := InTime(ctx, f.ImageTime, func(ctx context.Context) (err error) {
		if want.Pull != nil {
			opened, err = image.Open(ctx, want.Pull.Ref, digest, opts)
		} else {
			opts.Platform = platform(want.Archive.Platform)
			opened, err = image.OpenArchive(ctx, archiveSource(want.Archive, files), opts)
		}
		return err
	})
	if err != nil || want.Pull == nil {
		return opened, err
	}
	return opened, f.findMade(ctx, want.Pull, opened, opts, files)
}

// findMade finds what others have made of an image's layers. That it cannot be had is
// no failure: it is made here.
func (f *Finder) findMade(ctx context.Context, want *spec.Pull, opened *image.Image, opts image.Options, files fs.FS) error {
	if want.Objects == spec.MakeObjects {
		return nil
	}
	trust, err := objectSigners(want, files)
	if err != nil {
		return err
	}
	if len(trust) == 0 && opts.Local != nil && !image.HasDigest(want.Ref) {
		// Who says what a tag means, and nobody has to sign that, may say this, too.
		trust = []cosign.Policy{{Anyone: true}}
	}
	doubts, err := image.FindMade(ctx, want.Ref, opened, trust, opts)
	if opts.Log == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		opts.Log.Info("layers are made here: whether others have made them cannot be found out", "image", want.Ref, "error", err)
	}
	for _, doubt := range doubts {
		opts.Log.Warn("layers are made here: what others say to have made of them is not believed", "image", want.Ref, "error", doubt)
	}
	return nil
}

// PullOptions are for an image of a registry.
func (f *Finder) PullOptions(p *spec.Pull) image.Options {
	opts := f.Options
	opts.Mirrors, opts.TrustMirrorTags = p.Mirrors, p.TrustMirrorTags
	opts.Insecure, opts.Platform = p.Insecure, platform(p.Platform)
	if p.CredentialsFile != "" {
		opts.CredentialsFile = p.CredentialsFile
	}
	return opts
}

// PushOptions are for publishing an image.
func (f *Finder) PushOptions(p *spec.Push) image.Options {
	opts := f.Options
	opts.Insecure = p.Insecure
	if p.CredentialsFile != "" {
		opts.CredentialsFile = p.CredentialsFile
	}
	return opts
}

// platform is what images are pulled for unless they say otherwise.
func platform(want string) string {
	if want != "" {
		return want
	}
	return "linux/" + runtime.GOARCH
}

func archiveSource(a *spec.Archive, files fs.FS) image.ArchivePlace {
	s := image.ArchivePlace{Path: a.Path, URL: a.URL, SHA256: a.SHA256, Strip: a.Strip}
	if a.InRepo {
		s.FS = files
	}
	return s
}

// Cause tells what decides what is found, as far as this machine knows that: the
// declaration, and of an archive that lies here its file. What of these cannot be
// had fails where it is looked up.
func Cause(want spec.Image, files fs.FS) string {
	declared, _ := Declaration(want)
	if want.Archive == nil {
		return declared
	}
	mark, _ := image.Fingerprint(archiveSource(want.Archive, files))
	return declared + " " + mark
}

// Declaration hashes what decides where an image comes from.
func Declaration(want spec.Image) (string, error) {
	var pull *spec.Pull
	if want.Pull != nil {
		p := *want.Pull
		p.Update = ""                     // when to look does not change what is found
		p.ObjectKeys, p.Objects = nil, "" // nor does who has made something of it
		pull = &p
	}
	data, err := json.Marshal([]any{pull, want.Archive})
	if err != nil {
		return "", fmt.Errorf("hash declaration of image %q: %w", want.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
