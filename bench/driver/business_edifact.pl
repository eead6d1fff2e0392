# Reads a file of EDIFACT with Business::Edifact::Interchange; prints how many messages and how many lines of items it found.
use strict;
use warnings;
use Business::Edifact::Interchange;

my $interchange = Business::Edifact::Interchange->new;
$interchange->parse_file($ARGV[0]);
my ($messages, $items) = (0, 0);
for my $message (@{$interchange->messages()}) {
    $messages++;
    $items += scalar @{$message->items()};
}
print "$messages $items\n";
