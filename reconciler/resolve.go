package reconciler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/spec"
)

// resolveImage finds the digest that an image's declaration stands for now. A
// registry is asked only when the declaration is new, when its update
// schedule is due, or when the run was told to; an archive is opened only
// when its file changed. The opened image is returned where it was opened.
func (r *Reconciler) resolveImage(ctx context.Context, known Source, want spec.Image, files fs.FS) (Source, *image.Image, error) {
	declared, err := declaration(want)
	if err != nil {
		return known, nil, err
	}
	fresh := known.Declared == declared && known.Digest != ""
	switch {
	case want.Pull != nil:
		if fresh && !r.Update && !due(want.Pull.Update, known.Checked, r.Now()) {
			return known, nil, nil
		}
		found, err := image.Resolve(ctx, want.Pull.Ref, r.pullOptions(want.Pull))
		if err != nil {
			return known, nil, err
		}
		return Source{Declared: declared, Digest: found.Digest, Checked: r.Now().UTC().Truncate(time.Second)}, nil, nil
	case want.Archive != nil:
		return r.resolveArchive(ctx, known, fresh, declared, want, files)
	}
	return known, nil, fmt.Errorf("image %q is built, and comes from nowhere else", want.Name)
}

func (r *Reconciler) resolveArchive(ctx context.Context, known Source, fresh bool, declared string, want spec.Image, files fs.FS) (Source, *image.Image, error) {
	mark, err := image.Fingerprint(archiveSource(want.Archive, files))
	if err != nil {
		return known, nil, err
	}
	if fresh && known.Fingerprint == mark {
		return known, nil, nil
	}
	opened, err := r.openImage(ctx, want, "", files)
	if err != nil {
		return known, nil, err
	}
	return Source{Declared: declared, Digest: opened.Digest, Fingerprint: mark}, opened, nil
}

func (r *Reconciler) openImage(ctx context.Context, want spec.Image, digest string, files fs.FS) (*image.Image, error) {
	opts := r.imageOptions()
	if want.Pull != nil {
		opts = r.pullOptions(want.Pull)
	}
	if want.LayerSize > 0 {
		opts.Expansion = image.Expansion{Size: want.LayerSize, Declared: true}
	}
	var opened *image.Image
	err := inTime(ctx, r.ImageTime, func(ctx context.Context) (err error) {
		if want.Pull != nil {
			opened, err = image.Open(ctx, want.Pull.Ref, digest, opts)
		} else {
			opened, err = image.OpenArchive(ctx, archiveSource(want.Archive, files), opts)
		}
		return err
	})
	return opened, err
}

func (r *Reconciler) pullOptions(p *spec.Pull) image.Options {
	opts := r.imageOptions()
	opts.Mirrors, opts.TrustMirrorTags = p.Mirrors, p.TrustMirrorTags
	opts.Insecure, opts.Platform = p.Insecure, platform(p.Platform)
	if p.CredentialsFile != "" {
		opts.CredentialsFile = p.CredentialsFile
	}
	return opts
}

func archiveSource(a *spec.Archive, files fs.FS) image.ArchiveSource {
	s := image.ArchiveSource{Path: a.Path, URL: a.URL, SHA256: a.SHA256, Strip: a.Strip}
	if a.InRepo {
		s.FS = files
	}
	return s
}

// declaration hashes what decides where an image comes from.
func declaration(want spec.Image) (string, error) {
	var pull *spec.Pull
	if want.Pull != nil {
		p := *want.Pull
		p.Update = "" // when to look does not change what is found
		pull = &p
	}
	data, err := json.Marshal([]any{pull, want.Archive})
	if err != nil {
		return "", fmt.Errorf("hash declaration of image %q: %w", want.Name, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// due reports whether schedule has come round since the last check. An empty
// schedule never does.
func due(schedule string, last, now time.Time) bool {
	if schedule == "" {
		return false
	}
	s, err := cron.ParseStandard(schedule)
	if err != nil {
		return false // spec has refused such a schedule before
	}
	next := s.Next(last.In(now.Location()))
	return !next.IsZero() && !next.After(now)
}
