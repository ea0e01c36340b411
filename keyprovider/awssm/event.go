package awssm

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/keybearer/keybearer/internal/awsclient"
)

// labelUpdated is EventBridge's "Secret Label Updated": a staging label was
// moved to a version.
type labelUpdated struct {
	arns                   []string
	secret, label, version string
}

// What is wrong with a message, in words that repeat nothing of it.
var (
	errNotJSON  = errors.New("it is not the JSON of an event")
	errNotEvent = errors.New("it is not the event Secret Label Updated of aws.secretsmanager")
)

// parseEvent reads a message's body: the event as EventBridge sends it to a
// queue, or within the envelope of SNS.
func parseEvent(body string) (labelUpdated, error) {
	var envelope struct {
		Type    string `json:"Type"`
		Message string `json:"Message"`
	}
	if err := json.Unmarshal([]byte(body), &envelope); err == nil && envelope.Type == "Notification" {
		body = envelope.Message
	}
	var event struct {
		Source     string   `json:"source"`
		DetailType string   `json:"detail-type"`
		Resources  []string `json:"resources"`
		Detail     struct {
			Name         string `json:"name"`
			LabelUpdated string `json:"labelUpdated"`
			VersionID    string `json:"versionId"`
		} `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return labelUpdated{}, errNotJSON
	}
	if event.Source != "aws.secretsmanager" || event.DetailType != "Secret Label Updated" {
		return labelUpdated{}, errNotEvent
	}
	return labelUpdated{event.Resources, event.Detail.Name, event.Detail.LabelUpdated, event.Detail.VersionID}, nil
}

// concerns reports whether the event may mean another key in the secret under
// the label. What the event leaves open counts as a change: a hint too many
// costs one read.
func (e labelUpdated) concerns(secret awsclient.Secret, stage string) bool {
	if e.label != "" && e.label != stage {
		return false
	}
	if len(e.arns) == 0 {
		return secret.Is("", e.secret)
	}
	return slices.ContainsFunc(e.arns, func(arn string) bool { return secret.Is(arn, e.secret) })
}
