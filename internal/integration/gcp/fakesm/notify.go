package fakesm

import (
	"maps"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// configured sends the message that tries every topic after each change of the
// list.
func (s *Server) configured(topics []*secretmanagerpb.Topic) {
	for _, topic := range topics {
		s.opts.Publish(topic.GetName(), map[string]string{"eventType": "TOPIC_CONFIGURED"}, nil)
	}
}

// notify tells every topic of a change of the secret.
func (s *Server) notify(of *secret, event string, more map[string]string) {
	s.publish(of, event, of.pb, more)
}

// notifyVersion tells every topic of a change of a version.
func (s *Server) notifyVersion(of *secret, v *version, event string) {
	s.publish(of, event, v.pb, map[string]string{"versionId": v.pb.Name})
}

func (s *Server) publish(of *secret, event string, resource proto.Message, more map[string]string) {
	if len(of.pb.Topics) == 0 {
		return
	}
	attributes := map[string]string{
		"eventType":  event,
		"dataFormat": "JSON_API_V1",
		"secretId":   of.pb.Name,
		"timestamp":  s.opts.Now().UTC().Format(time.RFC3339Nano),
	}
	maps.Copy(attributes, more)
	data, err := protojson.Marshal(resource) // holds no payload
	if err != nil {
		data = nil
	}
	for _, topic := range of.pb.Topics {
		s.opts.Publish(topic.GetName(), maps.Clone(attributes), data)
	}
}

// Rotate tells a secret's topics that its rotation is due, as a schedule does.
func (s *Server) Rotate(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existing(name, "")
	if err == nil {
		s.notify(found, "SECRET_ROTATE", nil)
	}
	return err
}
