package image

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/gitboot/gitboot/image/archive"
	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/registry"
	"github.com/gitboot/gitboot/internal/progress"
)

// Options says where an image may come from and how hard to try.
type Options struct {
	// Mirrors are asked in this order before the image's own registry. Each is
	// "host[:port][/prefix]" and replaces the registry's name. They serve what
	// has a digest; what a tag means only the registry says.
	Mirrors []string
	// TrustMirrorTags lets mirrors say what a tag means.
	TrustMirrorTags bool
	// Insecure allows plain HTTP and certificates that nobody vouches for, for
	// the registry and its mirrors.
	Insecure bool
	// CredentialsFile is a docker or podman credential file to be used alone;
	// "" looks where docker and podman do.
	CredentialsFile string
	// TokenServers are hosts that a registry's credentials may be sent to
	// besides the registry itself, when it asks to log in there.
	TokenServers []string
	// Platform is "os/arch[/variant]"; "" is this machine's.
	Platform string
	// CacheDir keeps downloaded archives, named by their sha256.
	CacheDir string

	// Expansion bounds what a layer may become.
	Expansion Expansion
	// Reserve is how much of a file system's room downloads leave free, in
	// bytes; 0 means durable.Room's default.
	Reserve int64

	// Connections are shared with others; nil is for those of this call alone,
	// through the environment's proxy.
	Connections *Connections

	// Peers, if set, are asked before all others for what was published of an image, whose
	// digests are signed.
	Peers *Peers

	// Local, if set, answers in place of all registries and mirrors, and nothing is asked
	// of the network.
	Local http.Handler

	Timing   Timing
	Log      *slog.Logger
	Progress progress.Sink
}

func (o Options) withDefaults() Options {
	o.Platform = cmp.Or(o.Platform, "linux/"+runtime.GOARCH)
	o.Timing = o.Timing.WithDefaults()
	if o.Connections == nil {
		o.Connections = &Connections{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) registry() registry.Options {
	return registry.Options{
		Mirrors: o.Mirrors, TrustMirrorTags: o.TrustMirrorTags, Insecure: o.Insecure, CredentialsFile: o.CredentialsFile,
		TokenServers: o.TokenServers, Connections: o.Connections, Timing: o.Timing, Log: o.Log, Progress: o.Progress, Peers: o.Peers, Local: o.Local,
	}
}

func (o Options) archive() archive.Options {
	return archive.Options{
		CacheDir: o.CacheDir, Insecure: o.Insecure, Reserve: o.Reserve, Expansion: o.Expansion,
		Connections: o.Connections, Timing: o.Timing, Log: o.Log, Progress: o.Progress,
	}
}

// An Image is one platform's manifest and configuration, both verified.
type Image struct {
	// Digest names the content: the platform's manifest for a registry or an
	// OCI layout, the configuration for a docker save archive, the file for a
	// tar of a root file system.
	Digest string
	// Registry is the host that its reference names, "" for an archive.
	Registry string
	// Layers are in order, lowest first.
	Layers []Layer
	// Kernels are those that somebody who is believed has published, newest first.
	Kernels []MadeKernel
	// Originals are the documents that it was opened by.
	Originals []Original
	// Labels come from the configuration.
	Labels map[string]string
	// Env are the configuration's variables, NAME=VALUE each: what commands
	// that run in the image are to see.
	Env []string
	// Created is zero when the image does not say.
	Created time.Time

	given *registry.Counter // nil of an archive, and of what this process has itself
}

// Given is how many bytes of blobs, or of parts of them, came of whom.
type Given = registry.Given

// Given is what of the image, and of what was published of it, came of whom until now; nil
// of an archive.
func (img *Image) Given() Given { return img.given.Now() }

// Misled reports of an error that another than the image's registry gave other bytes. Asked
// again, it is not the first to be asked.
func (img *Image) Misled(err error) bool {
	var lied *DigestError
	return errors.As(err, &lied) && !strings.HasPrefix(lied.From, img.Registry+"/")
}

// A Layer is one tar of an image, not yet read.
type Layer struct {
	// DiffID is the sha256 of the uncompressed tar, as the image claims it.
	// Open does not check it for a layer whose blob has a digest of its own:
	// whoever stores the layer does.
	DiffID string
	// Digest is the sha256 of the blob as it is stored, "" when none is known.
	Digest string
	// Size is the blob's length in bytes, 0 when unknown.
	Size int64
	// MediaType is what the manifest calls the blob, "" outside of manifests.
	MediaType string
	// CreatedBy is what the image's history says that the layer came of, "" if nothing. It
	// is printable.
	CreatedBy string

	// Made is what somebody who is believed has made of it, nil if nobody has.
	Made *Made
	// Chunked is how parts of it are had, nil where it comes whole or not at all.
	Chunked *Chunked

	blob     opener
	progress progress.Sink
	// checkDiffID is set where DiffID is the only digest there is.
	checkDiffID bool
	strip       int
	allowed     expand.Diet
	expansion   expand.Expansion
}

// An opener starts reading a blob from its beginning. The blob is verified
// while it is read, as far as its digest and size are known.
type opener func(context.Context) (io.ReadCloser, error)
