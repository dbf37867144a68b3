package plan

import (
	"fmt"
	"slices"
	"time"
)

// A Making is an image that is built here: how it is wanted, and what is known
// of it.
type Making struct {
	Image string
	// Parent is the image that it is built on, if that is built here, too, and
	// ParentBuilds says that it is built first.
	Parent       string
	ParentBuilds bool
	// Known says that it was built before; Differences say what it is made from
	// now and was not then.
	Known       bool
	Differences []string
	// Schedule is when it is built anew, and Due that this has come round; NoCache
	// builds it without cache.
	Schedule string
	Due      bool
	NoCache  bool
	// Gone says that the engine's store does not hold what was built any more.
	Gone bool
	// Failed are the tries in vain, and Key what the next try is made from.
	// Patient runs wait with what has failed.
	Failed  Tries
	Key     string
	Patient bool
}

// A Verdict says whether an image is built, and why.
type Verdict struct {
	// Reasons are none if it is not.
	Reasons []string
	// Forced is built whatever its parent becomes, Fresh without cache.
	Forced, Fresh bool
	// Rests says that it failed and is not tried again yet.
	Rests bool
}

// Decide finds the reasons to build an image. If the parent is built first, what
// it becomes is not known yet, and it is decided again after that.
func (m Making) Decide(now time.Time) Verdict {
	v := Verdict{Fresh: m.NoCache}
	switch {
	case !m.Known:
		v.Forced, v.Reasons = true, []string{"it was not built yet"}
	case m.Due:
		v.Forced, v.Fresh, v.Reasons = true, true, []string{"schedule " + m.Schedule + " is due"}
	case m.Gone:
		v.Forced, v.Reasons = true, []string{"the engine's store does not hold it any more"}
	default:
		v.Reasons = slices.Clone(m.Differences)
	}
	if m.ParentBuilds {
		if len(v.Reasons) == 0 {
			v.Reasons = []string{"its base image:" + m.Parent + " is built; not needed if that comes out the same"}
		}
		return v
	}
	if len(v.Reasons) == 0 || m.Failed.Attempts == 0 || m.Failed.Key != m.Key {
		return v
	}
	v.Rests = m.Patient && m.Failed.Rest(now)
	v.Reasons = append(v.Reasons, "it has failed "+times(m.Failed.Attempts))
	return v
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// A Publishing is an image that is published: what of it, and what is known.
type Publishing struct {
	// Ref is where, Key a hash of all that decides what is published there.
	Ref, Key string
	// Builds says that it is built first, Ready that there is something to publish.
	Builds, Ready bool
	// Known says that it was tried before: KnownRef, KnownKey and Done are where,
	// what, and that it came there.
	Known, Done        bool
	KnownRef, KnownKey string
	// Failed are the tries in vain, if the last one was.
	Failed  *Tries
	Patient bool
	// Lost says why what was published is to be published again.
	Lost string
}

// Reason says why an image is to be published, "" if it need not be.
func (p Publishing) Reason(now time.Time) string {
	switch {
	case p.Builds:
		return "it is built; not needed if that comes out the same"
	case !p.Ready:
		return ""
	case !p.Known || !p.Done && p.Failed == nil:
		return "it was not published yet"
	case p.Failed != nil && p.Failed.Key == p.Key && p.Patient && p.Failed.Rest(now):
		return "" // it is left alone for a while
	case p.Failed != nil:
		return "the last push failed"
	case p.KnownRef != p.Ref:
		return "it was published as " + p.KnownRef
	case p.KnownKey != p.Key:
		return "it changed"
	}
	return p.Lost
}
