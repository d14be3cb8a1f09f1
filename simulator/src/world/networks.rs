//! Amazon EC2, as far as it says where tasks may run: VPCs, subnets and security groups (Amazon EC2 API reference, version
//! 2016-11-15). No task takes an address, and no rule of a group is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::input::{Input, list, optional};
use super::{Answer, AwsError, World};

/// Of each kind, in an account and region (chosen; the quotas are by VPC).
const MOST: usize = 1_000;
/// "The first four IP addresses and the last IP address in each subnet CIDR block are not available" (Amazon VPC user guide).
const RESERVED: u64 = 5;

#[derive(Clone, Debug, Default)]
pub(super) struct Networks {
    vpcs: BTreeMap<String, String>,
    subnets: BTreeMap<String, Subnet>,
    groups: BTreeMap<String, Group>,
}

#[derive(Clone, Debug)]
struct Subnet {
    vpc: String,
    cidr: String,
    free: u64,
}

#[derive(Clone, Debug)]
struct Group {
    vpc: String,
    name: String,
    description: String,
}

impl World {
    pub(super) fn ec2(&mut self, operation: &str, input: &Input) -> Answer {
        match operation {
            "CreateVpc" => self.create_vpc(input),
            "CreateSubnet" => self.create_subnet(input),
            "CreateSecurityGroup" => self.create_security_group(input),
            "DeleteSubnet" => self.delete_subnet(input),
            "DeleteSecurityGroup" => self.delete_security_group(input),
            "DescribeSubnets" => self.describe_subnets(input),
            "DescribeSecurityGroups" => self.describe_security_groups(input),
            _ => Err(AwsError::client(
                "InvalidAction",
                format!("The action {operation} is not valid for this web service."),
            )),
        }
    }

    fn made(&mut self, kind: &str) -> Result<String, AwsError> {
        let networks = &self.networks;
        if [networks.vpcs.len(), networks.subnets.len(), networks.groups.len()]
            .iter()
            .any(|&count| count >= MOST)
        {
            return Err(AwsError::client("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
        }
        Ok(format!("{kind}-{:017x}", self.id()))
    }

    fn create_vpc(&mut self, input: &Input) -> Answer {
        let cidr = required(input, "CidrBlock")?;
        addresses(cidr)?;
        let id = self.made("vpc")?;
        self.networks.vpcs.insert(id.clone(), cidr.to_owned());
        Ok(json!({"vpc": {"vpcId": id, "cidrBlock": cidr, "state": "pending", "isDefault": false}}))
    }

    fn vpc(&self, input: &Input) -> Result<String, AwsError> {
        let id = required(input, "VpcId")?;
        self.networks.vpcs.get_key_value(id).map(|(id, _)| id.clone()).ok_or_else(|| {
            AwsError::client("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
        })
    }

    fn create_subnet(&mut self, input: &Input) -> Answer {
        let (vpc, cidr) = (self.vpc(input)?, required(input, "CidrBlock")?);
        let free = addresses(cidr)?.saturating_sub(RESERVED);
        let id = self.made("subnet")?;
        let subnet = Subnet { vpc, cidr: cidr.to_owned(), free };
        self.networks.subnets.insert(id.clone(), subnet.clone());
        Ok(json!({"subnet": self.subnet(&id, &subnet)}))
    }

    fn create_security_group(&mut self, input: &Input) -> Answer {
        let vpc = self.vpc(input)?;
        let (name, description) = (required(input, "GroupName")?, required(input, "GroupDescription")?);
        if self.networks.groups.values().any(|group| group.vpc == vpc && group.name == name) {
            let message = format!("The security group '{name}' already exists for VPC '{vpc}'");
            return Err(AwsError::client("InvalidGroup.Duplicate", message));
        }
        let id = self.made("sg")?;
        let group = Group { vpc, name: name.to_owned(), description: description.to_owned() };
        self.networks.groups.insert(id.clone(), group);
        Ok(json!({"groupId": id}))
    }

    fn delete_subnet(&mut self, input: &Input) -> Answer {
        let id = required(input, "SubnetId")?;
        let found = self.networks.subnets.remove(id);
        found.map(|_| json!({"return": true})).ok_or_else(|| no_subnet(id))
    }

    fn delete_security_group(&mut self, input: &Input) -> Answer {
        let id = required(input, "GroupId")?;
        self.networks.groups.remove(id).map(|_| json!({"return": true})).ok_or_else(|| no_group(id))
    }

    fn describe_subnets(&self, input: &Input) -> Answer {
        let all = &self.networks.subnets;
        let chosen = chosen(all, input, ("SubnetId", "subnet-id"), no_subnet)?;
        let told = chosen.into_iter().map(|(id, subnet)| self.subnet(id, subnet));
        Ok(json!({"subnetSet": told.collect::<Vec<_>>()}))
    }

    fn describe_security_groups(&self, input: &Input) -> Answer {
        let all = &self.networks.groups;
        let chosen = chosen(all, input, ("GroupId", "group-id"), no_group)?;
        let told = chosen.into_iter().map(|(id, group)| {
            json!({
                "groupId": id,
                "groupName": group.name,
                "groupDescription": group.description,
                "ownerId": self.account,
                "vpcId": group.vpc,
                "ipPermissions": [],
                "ipPermissionsEgress": [],
            })
        });
        Ok(json!({"securityGroupInfo": told.collect::<Vec<_>>()}))
    }

    fn subnet(&self, id: &str, subnet: &Subnet) -> Value {
        json!({
            "subnetId": id,
            "vpcId": subnet.vpc,
            "cidrBlock": subnet.cidr,
            "availableIpAddressCount": subnet.free,
            "availabilityZone": format!("{}a", self.region),
            "defaultForAz": false,
            "mapPublicIpOnLaunch": false,
            "ownerId": self.account,
            "state": "available",
        })
    }
}

/// By ids, of which one that is not there fails the call, and by one filter, of which it does not.
fn chosen<'w, T>(
    all: &'w BTreeMap<String, T>,
    input: &Input,
    (ids, filter): (&str, &str),
    missing: fn(&str) -> AwsError,
) -> Result<Vec<(&'w String, &'w T)>, AwsError> {
    let asked: Vec<&str> = list(input, ids).filter_map(Value::as_str).collect();
    if let Some(unknown) = asked.iter().find(|id| !all.contains_key(**id)) {
        return Err(missing(unknown));
    }
    let mut wanted: Option<BTreeSet<&str>> = (!asked.is_empty()).then(|| asked.into_iter().collect());
    for one in list(input, "Filter") {
        let name = one.get("Name").and_then(Value::as_str).unwrap_or_default();
        if name != filter {
            let message = format!("The filter '{name}' is invalid");
            return Err(AwsError::client("InvalidParameterValue", message));
        }
        let values =
            one.get("Value").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let values: BTreeSet<&str> = values.collect();
        wanted = Some(match wanted {
            Some(wanted) => wanted.intersection(&values).copied().collect(),
            None => values,
        });
    }
    let is_wanted = |id: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(id));
    Ok(all.iter().filter(|(id, _)| is_wanted(id)).collect())
}

/// How many addresses a block has: between a /28 and a /16 (Amazon VPC user guide, "Subnet CIDR blocks").
fn addresses(cidr: &str) -> Result<u64, AwsError> {
    let prefix = cidr.split_once('/').and_then(|(_, prefix)| prefix.parse::<u32>().ok());
    match prefix {
        Some(prefix @ 16..=28) => Ok(1 << (32 - prefix)),
        _ => Err(AwsError::client("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid."))),
    }
}

fn required<'a>(input: &'a Input, key: &str) -> Result<&'a str, AwsError> {
    let message = format!("The request must contain the parameter {key}");
    optional(input, key)?.ok_or_else(|| AwsError::client("MissingParameter", message))
}

fn no_subnet(id: &str) -> AwsError {
    AwsError::client("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
}

fn no_group(id: &str) -> AwsError {
    AwsError::client("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
}
