package plan

import "time"

// A Coming is something that is going to be done by itself. The JSON fields are
// stable.
type Coming struct {
	Time time.Time `json:"time"`
	// What is it, such as "poll" or "build"; Image is the one that it is for, if it
	// is for one, and Why says it in words.
	What  string `json:"what"`
	Image string `json:"image,omitempty"`
	Why   string `json:"why,omitempty"`
}
