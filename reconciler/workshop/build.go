package workshop

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// A build is one image that is built here.
type build struct {
	want     spec.Image
	machine  string // whose build it is
	parent   *build // nil if the base is not built here
	prepared *recipe.Prepared
	state    *state.Build // never nil
	// base is the image that a base is pulled or opened as, if it is.
	base *spec.Image
	// blobs are the layers of an opened base as its registry has them. They are
	// verified once the base was imported.
	blobs map[string]image.Blob
	// verdict says whether it is built; gone, that the engine's store does not
	// hold what was built before; due, that its schedule has come round; patient
	// waits with what has failed.
	verdict            plan.Verdict
	gone, due, patient bool
	// ran was built by this job, and why is for what reasons.
	ran bool
	why []string
	err error
	// sought is a failure of looking up what it is made from.
	sought bool
	// lost says why what was published is to be published again; pushed was by
	// this job, unless it failed with pushErr.
	lost    string
	pushed  bool
	pushErr error
	done    chan struct{} // closed when its build has ended, one way or another
}

// ParentError is what an image gets that could not be built because its base
// was not.
type ParentError struct{ Parent string }

func (e *ParentError) Error() string {
	return fmt.Sprintf("not built, because its base image:%s failed", e.Parent)
}

// Order returns the images that are built here, parents first: those that the
// machine boots, those that it builds for others, and their bases.
func Order(wants *spec.Wants) []spec.Image {
	var out []spec.Image
	var add func(spec.Image)
	add = func(img spec.Image) {
		if img.Build == nil || slices.ContainsFunc(out, func(o spec.Image) bool { return o.Name == img.Name }) {
			return
		}
		if img.Build.Base != nil {
			add(*img.Build.Base)
		}
		out = append(out, img)
	}
	for _, img := range slices.Concat(wants.Images, wants.Builds) {
		add(img)
	}
	return out
}

// decide finds the reasons to build. If the parent is built first, what it
// becomes is not known yet, and it is decided again after that.
func (b *build) decide(now time.Time) {
	m := plan.Making{
		Image: b.want.Name, Known: b.state.Key != nil,
		Schedule: b.want.Build.Schedule, Due: b.due, NoCache: b.want.Build.NoCache, Gone: b.gone, Key: b.keyHash(), Patient: b.patient,
	}
	if m.Known {
		m.Differences = b.key().Differences(b.state.Key)
	}
	if b.parent != nil {
		m.Parent, m.ParentBuilds = b.parent.want.Name, len(b.parent.verdict.Reasons) > 0
	}
	if f := b.state.Failure; f != nil {
		m.Failed = f.Tries
	}
	if b.verdict = m.Decide(now); b.verdict.Rests {
		b.err = &state.RestingError{Failure: *b.state.Failure}
	}
}

func (b *build) key() recipe.Key {
	s := recipe.Settings{Base: b.state.Base.Digest, Engine: cmp.Or(b.want.Build.Engine, engines.Default), Test: b.want.Build.Test, Relayer: b.want.Build.Relayer}
	if b.parent != nil {
		s.Base = b.parent.state.Content
	}
	return b.prepared.Key(s)
}

// keyHash tells keys apart.
func (b *build) keyHash() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", b.key()))
	return hex.EncodeToString(sum[:8])
}

// tried notes that building an image has failed, and when it is tried again.
func (b *build) tried(err error, now time.Time) {
	f := &state.Failure{Message: err.Error(), Since: now}
	var before plan.Tries
	if old := b.state.Failure; old != nil {
		if before = old.Tries; old.Key == b.keyHash() && old.Message == f.Message {
			f.Since = old.Since
		}
	}
	f.Tries = before.After(b.keyHash(), b.whose(), now)
	b.state.Failure = f
}

// lookupKey tells apart what is looked up.
func (b *build) lookupKey() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "look up %q %+q %+v", b.want.Build.From, b.prepared.References, b.want.Build.Pulled))
	return hex.EncodeToString(sum[:8])
}

// whose spreads tries over machines and images.
func (b *build) whose() string { return b.machine + "/" + b.want.Name }

func (b *build) recipe(w *wanted.Wanted) recipe.Recipe {
	baseUser := ""
	if b.parent != nil && b.parent.prepared != nil {
		baseUser = b.parent.prepared.User
	}
	return Recipe(b.want, w.Files, baseUser)
}

// Recipe turns what spec says of an image into what is rendered. The user is the
// one that its base leaves, "" for root.
func Recipe(want spec.Image, files fs.FS, baseUser string) recipe.Recipe {
	s := want.Build
	var copies []recipe.Copy
	for _, c := range s.Copy {
		copies = append(copies, recipe.Copy(c))
	}
	return recipe.Recipe{
		Name: want.Name, FS: files, Scratch: s.Scratch && len(s.Bootstrap) == 0, Bootstrap: s.Bootstrap,
		Containerfiles: s.Containerfiles, Context: s.Context, Recipe: s.Recipe,
		Copy: copies, Run: s.Run,
		Args: s.Args, Labels: s.Labels, Secrets: s.Secrets, Platform: s.Platform, RootfsFixes: s.RootfsFixes, BaseUser: baseUser,
	}
}

// baseDigest tells bases that the engine has not built itself apart: by what
// they hold, by what they were resolved to, or by the command that makes them.
func (b *build) baseDigest() string {
	if b.parent != nil {
		return b.parent.state.Content
	}
	if b.base != nil {
		return b.state.Base.Digest
	}
	return b.prepared.BootstrapHash()
}

// layersOf are the layers of what was built, lowest first.
func layersOf(s *state.Build) (out []image.Layer) {
	for i, diffID := range s.Layers {
		l := image.Layer{DiffID: diffID}
		if i < len(s.Sizes) {
			l.Size = s.Sizes[i]
		}
		out = append(out, l)
	}
	return out
}
